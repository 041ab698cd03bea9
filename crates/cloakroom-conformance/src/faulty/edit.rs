use cloakroom_core::{CreateOutcome, Peek, Record, SaveOutcome, SessionId, Stamp, TouchOutcome};

/// What happens to the payload of a record on its way out of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Corruption {
    /// The last byte of the head is missing.
    TruncateHead,
    /// The last byte of the body is missing.
    TruncateBody,
    /// The head is empty.
    EmptyHead,
    /// The body is empty, its format byte included.
    EmptyBody,
    /// All bits of the head's last byte are inverted.
    FlipHead,
    /// All bits of the body's last byte are inverted.
    FlipBody,
    /// The head's format byte is 255: a version that nobody knows yet.
    ForeignHead,
    /// The body's format byte is 255.
    ForeignBody,
}

impl Corruption {
    fn apply(self, record: &mut Record) {
        let part = match self {
            Self::TruncateHead | Self::EmptyHead | Self::FlipHead | Self::ForeignHead => {
                &mut record.head
            }
            Self::TruncateBody | Self::EmptyBody | Self::FlipBody | Self::ForeignBody => {
                &mut record.body
            }
        };
        match self {
            Self::TruncateHead | Self::TruncateBody => {
                part.pop();
            }
            Self::EmptyHead | Self::EmptyBody => part.clear(),
            Self::FlipHead | Self::FlipBody => {
                if let Some(last) = part.last_mut() {
                    *last = !*last;
                }
            }
            Self::ForeignHead | Self::ForeignBody => {
                if let Some(first) = part.first_mut() {
                    *first = 255;
                }
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Edit {
    Corrupt(Corruption),
    Stamp(Stamp),
}

/// What a call returns, as far as an edit can reach it.
pub(super) trait Editable {
    fn edit(&mut self, edit: Edit);
}

impl Editable for Record {
    fn edit(&mut self, edit: Edit) {
        match edit {
            Edit::Corrupt(corruption) => corruption.apply(self),
            Edit::Stamp(stamp) => self.stamp = stamp,
        }
    }
}

impl Editable for Stamp {
    fn edit(&mut self, edit: Edit) {
        if let Edit::Stamp(stamp) = edit {
            *self = stamp;
        }
    }
}

impl Editable for Peek {
    fn edit(&mut self, edit: Edit) {
        self.stamp.edit(edit);
    }
}

impl Editable for CreateOutcome {
    fn edit(&mut self, edit: Edit) {
        if let Self::Exists(stamp) = self {
            stamp.edit(edit);
        }
    }
}

impl Editable for SaveOutcome {
    fn edit(&mut self, edit: Edit) {
        match self {
            Self::Conflict(record) | Self::Ended(record) => record.edit(edit),
            Self::Saved | Self::Gone => {}
        }
    }
}

impl Editable for TouchOutcome {
    fn edit(&mut self, edit: Edit) {
        if let Self::Moved(stamp) = self {
            stamp.edit(edit);
        }
    }
}

impl<T: Editable> Editable for Option<T> {
    fn edit(&mut self, edit: Edit) {
        if let Some(inner) = self {
            inner.edit(edit);
        }
    }
}

impl Editable for Vec<(SessionId, Record)> {
    fn edit(&mut self, edit: Edit) {
        for (_, record) in self {
            record.edit(edit);
        }
    }
}

impl Editable for Vec<SessionId> {
    fn edit(&mut self, _: Edit) {}
}

impl Editable for usize {
    fn edit(&mut self, _: Edit) {}
}
