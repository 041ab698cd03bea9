//! The scripts. Each has one key, and each reply begins with a letter and repeats what was
//! asked for, so that a reply which belongs to another request is noticed.

use std::sync::LazyLock;

use redis::Cmd;

macro_rules! scripts {
    ($($name:ident = $($file:literal)+;)*) => {
        $(pub(crate) static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new(concat!($(include_str!(concat!("scripts/", $file))),+)));)*
    };
}

scripts! {
    LOAD = "load.lua";
    PEEK = "peek.lua";
    CREATE = "tell.lua" "create.lua";
    SAVE = "tell.lua" "save.lua";
    TOUCH = "touch.lua";
    END = "tell.lua" "end.lua";
    EXPIRE = "tell.lua" "expire.lua";
    INDEX = "index.lua";
    UNINDEX = "unindex.lua";
    OWNED = "owned.lua";
}

/// A script, and the name under which a server keeps it.
pub(crate) struct Script {
    code: &'static str,
    hash: String,
}

impl Script {
    fn new(code: &'static str) -> Self {
        Self {
            code,
            hash: redis::Script::new(code).get_hash().to_owned(),
        }
    }
}

/// One run of a script.
pub(crate) struct Call<'a> {
    pub(crate) script: &'static Script,
    pub(crate) key: &'a str,
    /// The first one is what the reply must repeat.
    pub(crate) args: &'a [&'a [u8]],
    /// Whether it may be sent again after a failure that leaves open what happened.
    pub(crate) repeatable: bool,
}

impl Call<'_> {
    /// By its hash: what is sent as a rule.
    pub(crate) fn by_hash(&self) -> Cmd {
        self.command("EVALSHA", &self.script.hash)
    }

    /// With its code: runs it, and makes the server keep it.
    pub(crate) fn by_code(&self) -> Cmd {
        self.command("EVAL", self.script.code)
    }

    fn command(&self, name: &str, script: &str) -> Cmd {
        let size =
            script.len() + self.key.len() + self.args.iter().map(|arg| arg.len()).sum::<usize>();
        let mut command = Cmd::with_capacity(self.args.len() + 4, size + name.len() + 1);
        command.arg(name);
        command.arg(script).arg(1).arg(self.key);
        for arg in self.args {
            command.arg(*arg);
        }
        command
    }
}
