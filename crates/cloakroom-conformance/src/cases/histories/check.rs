use std::collections::HashMap;

use cloakroom_core::{Record, Stamp, State};

use super::run::{Event, Story, What, counter};

/// Where a state stands in the one order of writes.
struct Written<'a> {
    place: usize,
    record: &'a Record,
    event: Option<&'a Event>,
}

/// Whether one order of the writes explains all that was seen; if not, what is wrong.
pub(super) fn check(story: &Story) -> Result<(), String> {
    let last_live = last_live(story)?;
    let order = order(story, last_live.stamp)?;
    for event in &story.events {
        match &event.what {
            What::Read(None) => return Err(format!("a session vanished: {event:?}")),
            What::Read(Some(record)) | What::Ended(record) => {
                read_is_explained(story, &order, event, record)?;
            }
            What::Saved { to, sure: true, .. } if !order.contains_key(&to.stamp) => {
                return Err(format!("an increment was lost: {event:?}"));
            }
            What::Saved { .. } => {}
            What::Touched { stamp, .. } => touch_is_kept(story, &order, event, *stamp)?,
        }
    }
    let writes = u64::try_from(order.len()).expect("a usize fits in 64 bits") - 1;
    if counter(last_live) != writes {
        return Err(format!("{writes} writes made a count of {last_live:?}"));
    }
    nothing_after_the_end(story)
}

/// The last state before the end, or the last of all.
fn last_live(story: &Story) -> Result<&Record, String> {
    let mut ended = story.events.iter().filter_map(|event| match &event.what {
        What::Ended(record) => Some(record),
        _ => None,
    });
    let last = story.last.as_ref().ok_or("the row is gone")?;
    match (last.state, ended.next(), ended.next()) {
        (State::Live, None, _) => Ok(last),
        (State::Live, Some(_), _) => Err(format!("a dead session came back: {last:?}")),
        (State::Ended, Some(record), None) => Ok(record),
        (State::Ended, None, _) => Err("nobody was told of the end".to_owned()),
        (State::Ended, Some(_), Some(_)) => Err("two were told of one end".to_owned()),
    }
}

/// Follows the writes back from the last to the first.
fn order(story: &Story, last: Stamp) -> Result<HashMap<Stamp, Written<'_>>, String> {
    let mut parents = HashMap::new();
    for event in &story.events {
        if let What::Saved { from, to, .. } = &event.what {
            parents.insert(to.stamp, (*from, to, event));
        }
    }
    let mut path = Vec::new();
    let mut stamp = last;
    while stamp != story.first.stamp {
        let (from, record, event) = parents
            .remove(&stamp)
            .ok_or_else(|| format!("nobody wrote the state {stamp:?}"))?;
        path.push((record, Some(event)));
        stamp = from;
    }
    path.push((&story.first, None));
    let placed = path.into_iter().rev().enumerate();
    Ok(placed
        .map(|(place, (record, event))| {
            let written = Written {
                place,
                record,
                event,
            };
            (record.stamp, written)
        })
        .collect())
}

/// A read shows a state that was current at some moment of the read, whole.
fn read_is_explained(
    story: &Story,
    order: &HashMap<Stamp, Written<'_>>,
    event: &Event,
    seen: &Record,
) -> Result<(), String> {
    if seen.state == State::Ended {
        let began = |other: &Event| matches!(other.what, What::Ended(_)) && other.begin < event.end;
        return if story.events.iter().any(began) {
            Ok(())
        } else {
            Err(format!("ended before anybody ended it: {event:?}"))
        };
    }
    let written = order
        .get(&seen.stamp)
        .ok_or_else(|| format!("a state outside the order was seen: {event:?}"))?;
    if seen.head != written.record.head || seen.body != written.record.body {
        return Err(format!("half a write was seen: {event:?}"));
    }
    if written.event.is_some_and(|write| write.begin > event.end) {
        return Err(format!("a state was seen before it was written: {event:?}"));
    }
    let overwritten = order.values().any(|other| {
        let done = |write: &Event| {
            matches!(write.what, What::Saved { sure: true, .. }) && write.end < event.begin
        };
        other.place > written.place && other.event.is_some_and(done)
    });
    if overwritten {
        return Err(format!("a reader went back in time: {event:?}"));
    }
    let touched = story.events.iter().any(|other| match &other.what {
        What::Touched { stamp, times } => {
            *stamp == seen.stamp && other.end < event.begin && seen.times.used_at < times.used_at
        }
        _ => false,
    });
    if touched {
        return Err(format!("a touch was undone: {event:?}"));
    }
    Ok(())
}

/// A touch that was told `Touched` met a state in the order, and holds until the next write.
fn touch_is_kept(
    story: &Story,
    order: &HashMap<Stamp, Written<'_>>,
    event: &Event,
    stamp: Stamp,
) -> Result<(), String> {
    if !order.contains_key(&stamp) {
        return Err(format!("a state outside the order was touched: {event:?}"));
    }
    let What::Touched { times, .. } = &event.what else {
        return Ok(());
    };
    match &story.last {
        Some(last) if last.stamp == stamp && last.times.used_at < times.used_at => {
            Err(format!("a touch was lost: {event:?}"))
        }
        _ => Ok(()),
    }
}

/// Whatever began after the end was over saw a dead session.
fn nothing_after_the_end(story: &Story) -> Result<(), String> {
    let over = story
        .events
        .iter()
        .find(|event| matches!(event.what, What::Ended(_)));
    let Some(over) = over else {
        return Ok(());
    };
    let alive = story.events.iter().find(|event| {
        let live = match &event.what {
            What::Read(Some(record)) => record.state == State::Live,
            What::Saved { sure, .. } => *sure,
            What::Touched { .. } => true,
            What::Read(None) | What::Ended(_) => false,
        };
        live && event.begin > over.end
    });
    match alive {
        Some(event) => Err(format!("alive after the end: {event:?}")),
        None => Ok(()),
    }
}
