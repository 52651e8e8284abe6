//! How answers are printed: euca2ools' tab-separated columns, aligned tables for what euca2ools
//! has not, or JSON. It knows nothing of any action.

use std::io::Write;

use clap::ValueEnum;

use crate::tree::Element;

/// What the user asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// Columns.
    Text,
    /// One JSON document: the answer's elements, `requestId` included.
    Json,
}

/// Prints an answer: as JSON, or as `text` has it.
pub fn print(form: Form, answer: &Element, text: impl FnOnce(&Element) -> Vec<String>) {
    match form {
        Form::Json => line(&format!("{:#}", answer.to_json())),
        Form::Text => text(answer).iter().for_each(|text| line(text)),
    }
}

/// Prints a line. Whoever reads only the first lines (`euca ... | head`) wants no more: then the
/// program ends quietly, as others do.
pub fn line(text: &str) {
    if writeln!(std::io::stdout(), "{text}").is_err() {
        std::process::exit(0);
    }
}

/// One line of tab-separated columns.
pub fn columns<'a>(cells: impl IntoIterator<Item = &'a str>) -> String {
    cells.into_iter().collect::<Vec<_>>().join("\t")
}

/// A table for people: a head line and rows, columns as wide as their widest cell.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let width = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count());
        cells.chain([head[at].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_string()
    };
    let mut lines = vec![line(head.to_vec())];
    lines.extend(rows.iter().map(|row| line(row.iter().map(String::as_str).collect())));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned() {
        let rows = vec![vec!["n1".to_string(), "up".to_string()], vec!["node-22".to_string(), "down".to_string()]];
        assert_eq!(table(&["NAME", "STATE"], &rows), ["NAME     STATE", "n1       up", "node-22  down"]);
    }
}
