//! The tables as one SVG: a panel of bars for each, with a line where a goal is.

use std::fmt::Write as _;

use crate::report::{Goal, Table, short};

const WIDTH: f64 = 900.0;
/// Where the bars begin, and the longest of them.
const LEFT: f64 = 330.0;
const LONGEST: f64 = 480.0;
const BAR: f64 = 18.0;
const GAP: f64 = 46.0;
const CAPTION: &str = "<text x=\"10\" y=\"20\">A black line is a goal; an orange bar has not met it.</text>\n";

/// The picture.
pub fn svg(tables: &[Table]) -> String {
    let mut body = String::from(CAPTION);
    let mut y = 50.0;
    for table in tables {
        y = panel(&mut body, table, y);
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{y}\" viewBox=\"0 0 {WIDTH} {y}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{y}\" fill=\"white\"/>\n{body}</svg>\n"
    )
}

/// Draws one table from `y` downwards, and says where it ends.
fn panel(body: &mut String, table: &Table, y: f64) -> f64 {
    let figures: Vec<f64> = table.rows.iter().map(|row| table.figure(row, table.drawn)).collect();
    let goals = table.rows.iter().flat_map(|row| &row.goals).filter(|(column, _)| *column == table.drawn);
    let all = figures.iter().copied().chain(goals.map(|(_, goal)| goal.bound()));
    let most = all.filter(|figure| figure.is_finite()).fold(f64::MIN_POSITIVE, f64::max);
    let scale = |figure: f64| figure.max(0.0) / most * LONGEST;
    let title = format!("{}: {}", table.title, table.drawn);
    let _ = writeln!(body, "<text x=\"10\" y=\"{y}\" font-weight=\"bold\">{}</text>", escaped(&title));
    for (at, (row, figure)) in table.rows.iter().zip(&figures).enumerate() {
        let top = y + 10.0 + BAR * at as f64;
        let middle = top + BAR * 0.7;
        let goal = row.goals.iter().find(|(column, _)| *column == table.drawn).map(|(_, goal)| *goal);
        let colour = if goal.is_some_and(|goal| !goal.met(*figure)) { "#d98c5f" } else { "#5f8dd9" };
        let (length, height, name) = (scale(*figure), BAR - 4.0, escaped(&row.name));
        let _ = writeln!(body, "<text x=\"{}\" y=\"{middle}\" text-anchor=\"end\">{name}</text>", LEFT - 8.0);
        if figure.is_finite() {
            let bar = format!("x=\"{LEFT}\" y=\"{top}\" width=\"{length:.1}\" height=\"{height}\" fill=\"{colour}\"");
            let _ = writeln!(body, "<rect {bar}/>");
            let _ = writeln!(body, "<text x=\"{:.1}\" y=\"{middle}\">{}</text>", LEFT + length + 5.0, short(*figure));
        }
        if let Some(goal) = goal {
            mark(body, LEFT + scale(goal.bound()), top, goal);
        }
    }
    y + BAR * table.rows.len() as f64 + GAP
}

/// A goal's line across its bar.
fn mark(body: &mut String, x: f64, top: f64, goal: Goal) {
    let sign = if matches!(goal, Goal::Least(_)) { "at least" } else { "at most" };
    let bottom = top + BAR - 4.0;
    let _ = writeln!(
        body,
        "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top}\" y2=\"{bottom}\" stroke=\"black\" stroke-width=\"2\">\
         <title>goal: {sign} {}</title></line>",
        short(goal.bound())
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
