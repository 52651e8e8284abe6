//! The tables: rows of figures, with the goals that stand beside some of them.

use std::fmt::Write as _;

/// What a figure should be.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// At least so much: a rate.
    Least(f64),
    /// At most so much: a time, a size.
    Most(f64),
}

impl Goal {
    /// Whether the figure is as it should be.
    pub fn met(self, figure: f64) -> bool {
        match self {
            Goal::Least(bound) => figure >= bound,
            Goal::Most(bound) => figure <= bound,
        }
    }

    /// The bound itself.
    pub fn bound(self) -> f64 {
        match self {
            Goal::Least(bound) | Goal::Most(bound) => bound,
        }
    }
}

/// One row of a table.
pub struct Row {
    /// What was measured.
    pub name: String,
    /// A figure for each column; NaN where there is none.
    pub figures: Vec<f64>,
    /// Goals by column.
    pub goals: Vec<(&'static str, Goal)>,
}

impl Row {
    /// A row without goals.
    pub fn new(name: impl Into<String>, figures: Vec<f64>) -> Self {
        Self { name: name.into(), figures, goals: Vec::new() }
    }

    /// With a goal for the figure of that column.
    #[must_use]
    pub fn goal(mut self, column: &'static str, goal: Goal) -> Self {
        self.goals.push((column, goal));
        self
    }
}

/// Rows of one kind.
pub struct Table {
    /// What it is about.
    pub title: &'static str,
    /// The columns, with their units.
    pub columns: &'static [&'static str],
    /// The column that is drawn.
    pub drawn: &'static str,
    /// The rows.
    pub rows: Vec<Row>,
}

impl Table {
    /// An empty table. Its heading is printed at once, and each row as it is added.
    pub fn new(title: &'static str, columns: &'static [&'static str], drawn: &'static str) -> Self {
        let mut heading = format!("\n{title:<NAME$}");
        for column in columns {
            let _ = write!(heading, "{column:>FIGURE$}");
        }
        println!("{heading}");
        Self { title, columns, drawn, rows: Vec::new() }
    }

    /// Adds and prints a row.
    pub fn add(&mut self, row: Row) {
        let mut line = format!("{:<NAME$}", row.name);
        for figure in &row.figures {
            let _ = write!(line, "{:>FIGURE$}", short(*figure));
        }
        for (column, goal) in &row.goals {
            let (figure, sign) = (self.figure(&row, column), if matches!(goal, Goal::Least(_)) { "≥" } else { "≤" });
            let verdict = if goal.met(figure) { "met" } else { "MISSED" };
            let _ = write!(line, "  {column} {sign} {}: {verdict}", short(goal.bound()));
        }
        println!("{line}");
        self.rows.push(row);
    }

    /// A row's figure in a column.
    pub fn figure(&self, row: &Row, column: &str) -> f64 {
        let at = self.columns.iter().position(|name| *name == column);
        at.and_then(|at| row.figures.get(at)).copied().unwrap_or(f64::NAN)
    }
}

/// Widths of a name and of a figure, in characters.
const NAME: usize = 46;
const FIGURE: usize = 12;

/// A figure with as many digits as mean something.
pub fn short(figure: f64) -> String {
    match figure.abs() {
        size if size.is_nan() => "-".to_string(),
        size if size >= 100.0 => format!("{figure:.0}"),
        size if size >= 10.0 => format!("{figure:.1}"),
        size if size >= 1.0 => format!("{figure:.2}"),
        _ => format!("{figure:.3}"),
    }
}
