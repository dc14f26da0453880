//! What people read: from replies to text. Pure.

mod keep;
mod mount;
mod people;
mod status;
mod table;
mod token;
mod units;

#[cfg(test)]
pub(crate) mod example;

pub(crate) use keep::{left, nodes, recovery, removed, restored};
pub(crate) use mount::{created, list, reset, show};
pub(crate) use people::{added, audit, renewed, users};
pub(crate) use status::status;
pub(crate) use token::tokens;

/// What the output can bear.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Look {
    /// Width of the terminal in columns; nothing is cut or wrapped where there is none.
    pub(crate) width: Option<u16>,
    /// Whether colours may be used.
    pub(crate) colour: bool,
}

/// The colours, by what they mean.
#[derive(Clone, Copy, Debug)]
enum Colour {
    Good,
    Poor,
    Bad,
    Strong,
}

impl Look {
    fn paint(self, colour: Colour, text: &str) -> String {
        let code = match colour {
            Colour::Good => 32,
            Colour::Poor => 33,
            Colour::Bad => 31,
            Colour::Strong => 1,
        };
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// Breaks a sentence between words, with later lines behind `indent` blanks.
    fn wrap(self, text: &str, indent: usize) -> String {
        let Some(width) = self.width.map(usize::from) else { return text.to_owned() };
        let (mut out, mut column) = (String::new(), indent);
        for (n, word) in text.split(' ').enumerate() {
            let length = word.chars().count();
            if n > 0 && column + 1 + length > width {
                out.push('\n');
                out.push_str(&" ".repeat(indent));
                column = indent;
            } else if n > 0 {
                out.push(' ');
                column += 1;
            }
            out.push_str(word);
            column += length;
        }
        out
    }
}
