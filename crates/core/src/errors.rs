//! How an error and its causes become one line, for every log and every message of the project.

use std::error::Error;

/// The error and its causes, each after a colon. A cause that the text before it already ends with is left out: many
/// libraries put their cause both into their message and into `source`.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let said = next.to_string();
        if !text.ends_with(said.trim_end()) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Layer {
        #[error("could not greet: {0}")]
        Repeats(#[source] Box<Layer>),
        #[error("could not connect")]
        Plain(#[source] Box<Layer>),
        #[error("no such file")]
        Root,
    }

    #[test]
    fn a_cause_is_said_once() {
        let root = || Box::new(Layer::Root);
        assert_eq!(
            chain(&Layer::Plain(root())),
            "could not connect: no such file"
        );
        assert_eq!(
            chain(&Layer::Repeats(root())),
            "could not greet: no such file"
        );
        let both = Layer::Repeats(Box::new(Layer::Plain(root())));
        assert_eq!(
            chain(&both),
            "could not greet: could not connect: no such file"
        );
    }
}
