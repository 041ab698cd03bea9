//! `--help`: the table in words.

use std::fmt::Write;

use super::table::TABLE;

/// The text of `--help`.
pub(crate) fn help() -> String {
    let mut text = String::from(
        "The cloakroom playground: every behaviour of the session layer, over HTTP.\n\n\
         usage: playground [--option value | --option=value | --flag]...\n\n",
    );
    for spec in TABLE {
        let allowed = if spec.flag { "a flag" } else { spec.allowed };
        writeln!(
            text,
            "  --{}\n      {}\n      allowed: {allowed}\n      default: {}; variable: {}",
            spec.name,
            spec.about,
            spec.default,
            spec.variable()
        )
        .expect("a String takes everything");
    }
    text.push_str(
        "\nThe command line wins over the environment; a flag's variable is true or false.\n",
    );
    text
}
