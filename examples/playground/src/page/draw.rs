//! The page as HTML. Numbers, words of our own and `Escaped` texts are all that is written into it.

use std::fmt::{self, Display, Write};

use super::escape::Escaped;
use super::forms;
use super::view::{LastRequest, OwnSession, View};

/// The whole page.
pub(crate) fn whole(view: &View) -> String {
    let mut html = String::with_capacity(16 * 1024);
    write_whole(&mut html, view).expect("a String takes everything");
    html
}

/// A page that says why there is nothing to show.
pub(crate) fn problem(kind: &str) -> String {
    let mut html = String::new();
    write_problem(&mut html, kind).expect("a String takes everything");
    html
}

fn write_whole(out: &mut String, view: &View) -> fmt::Result {
    head(out, view.node.as_deref())?;
    out.push_str("<main id=main>");
    if let Some(notice) = &view.notice {
        write!(out, "<p class=notice role=status>{}</p>", Escaped(notice))?;
    }
    if !view.cookies {
        out.push_str(
            "<p class=notice>The token travels in a header here, which a browser's forms and links \
             do not send: use <code>curl</code>.</p>",
        );
    }
    out.push_str("<div class=columns><div>");
    session(out, view)?;
    last_request(out, view)?;
    out.push_str(forms::SESSION);
    out.push_str("</div><div>");
    attributes(out, &view.attributes)?;
    own_sessions(out, view)?;
    out.push_str("</div></div>");
    out.push_str(forms::TRIAL);
    out.push_str(forms::OPERATOR);
    out.push_str("</main>");
    foot(out);
    Ok(())
}

fn write_problem(out: &mut String, kind: &str) -> fmt::Result {
    head(out, None)?;
    let sentence = match kind {
        "disabled" => "Sessions are disabled: the server was started with --idle disabled.",
        "unavailable" => "The session store does not answer. Nothing is lost; try again.",
        "two_sessions" => "This browser sent two different live sessions. Remove one cookie.",
        _ => "The session cannot be shown.",
    };
    write!(
        out,
        "<main id=main><section class=card><h2>{}</h2><p>{sentence}</p>\
         <p><a href=\"/\">Try again</a></p></section></main>",
        Escaped(kind)
    )?;
    foot(out);
    Ok(())
}

fn head(out: &mut String, node: Option<&str>) -> fmt::Result {
    out.push_str(
        "<!doctype html><html lang=en><head><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width, initial-scale=1\">\
         <meta name=color-scheme content=\"light dark\"><title>Cloakroom playground</title>\
         <link rel=icon href=\"data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' \
         viewBox='0 0 16 16'%3E%3Crect x='2' y='1' width='12' height='14' rx='3' \
         fill='%23a8572a'/%3E%3Ccircle cx='8' cy='5' r='1.6' fill='white'/%3E%3C/svg%3E\">\
         <link rel=stylesheet href=\"/page.css\"><script src=\"/page.js\" defer></script></head>\
         <body><header class=top><h1><span class=ticket aria-hidden=true></span>Cloakroom \
         <small>playground</small></h1>",
    );
    if let Some(node) = node {
        write!(out, "<p class=node>node <b>{}</b></p>", Escaped(node))?;
    }
    out.push_str("</header>");
    Ok(())
}

fn foot(out: &mut String) {
    out.push_str(
        "<footer><p>Anybody may sign in as anybody here: this is a playground. In a real \
         application the statistics, the metrics and the housekeeper would be behind an admin's \
         door, and a login would ask for proof.</p></footer>\
         <aside id=answer hidden aria-live=polite></aside></body></html>",
    );
}

fn session(out: &mut String, view: &View) -> fmt::Result {
    let state = match (view.presented, view.ended_reason.as_deref()) {
        ("ended", Some("logout")) => "signed out",
        ("ended", Some("revoked")) => "ended from elsewhere",
        ("ended", _) => "ended",
        ("timed_out", _) => "timed out",
        ("active", _) => "active",
        ("none", _) => "none yet",
        ("superseded", _) => "superseded by a newer secret",
        ("malformed", _) => "malformed ticket",
        _ => "unknown ticket",
    };
    write!(
        out,
        "<section class=card aria-labelledby=s><h2 id=s>Session \
         <span class=\"badge {0}\" data-presented=\"{0}\">{state}</span></h2>",
        Escaped(view.presented)
    )?;
    if view.is_stale {
        out.push_str("<p class=notice>The store is down: this is a copy, and read-only.</p>");
    }
    if view.id.is_none() {
        out.push_str("<p class=hint>A session is stored with its first attribute or login.</p>");
    }
    out.push_str("<dl>");
    row(out, "presented", &view.presented)?;
    if let Some(reason) = &view.ended_reason {
        row(out, "reason", &reason)?;
    }
    match &view.id {
        Some(id) => write!(
            out,
            "<dt>id</dt><dd><a href=\"/api/manage/{0}\">{0}</a></dd>",
            Escaped(id)
        )?,
        None => row(out, "id", &"–")?,
    }
    row(out, "owner", &view.owner.as_deref().unwrap_or("–"))?;
    time_row(out, "created", view.created_at.as_deref())?;
    time_row(out, "last used", view.last_used_at.as_deref())?;
    row(out, "idle timeout", &view.idle)?;
    ends(out, view)?;
    out.push_str("</dl>");
    let end = view.deadline.as_ref().map(|deadline| &deadline.at);
    if end.is_some() && end != view.latest.as_ref() {
        out.push_str(
            "<p class=hint>It ends by its idle timeout after the last use that was stored, and one \
             touch interval later: a use within an interval is not stored, and nobody shall be \
             signed out early for it. With <code>--touch 0s</code> the end is exact. No use moves \
             it beyond the latest end, only a login does.</p>",
        );
    }
    out.push_str("</section>");
    Ok(())
}

fn ends(out: &mut String, view: &View) -> fmt::Result {
    if let Some(deadline) = &view.deadline {
        write!(
            out,
            "<dt>ends</dt><dd><time datetime=\"{0}\">{0}</time> <span class=left \
             data-left=\"{1}\">in {2}</span></dd>",
            Escaped(&deadline.at),
            deadline.left.as_millis(),
            Escaped(&rounded(deadline.left.as_secs())),
        )?;
    } else {
        row(out, "ends", &"–")?;
    }
    time_row(out, "at the latest", view.latest.as_deref())
}

/// The two greatest units are enough for a person.
fn rounded(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

fn row(out: &mut String, name: &str, value: &dyn Display) -> fmt::Result {
    write!(
        out,
        "<dt>{name}</dt><dd>{}</dd>",
        Escaped(&value.to_string())
    )
}

fn time_row(out: &mut String, name: &str, at: Option<&str>) -> fmt::Result {
    match at {
        Some(at) => {
            write!(
                out,
                "<dt>{name}</dt><dd><time datetime=\"{0}\">{0}</time></dd>",
                Escaped(at)
            )
        }
        None => row(out, name, &"–"),
    }
}

fn last_request(out: &mut String, view: &View) -> fmt::Result {
    out.push_str("<section class=card aria-labelledby=l><h2 id=l>What the last request did</h2>");
    match &view.last {
        Some(last) => effects(out, last)?,
        None => out.push_str("<p class=hint>Nothing that this node remembers.</p>"),
    }
    write!(
        out,
        "<p class=hint>This page itself: {}.</p></section>",
        Escaped(view.origin)
    )
}

fn effects(out: &mut String, last: &LastRequest) -> fmt::Result {
    match &last.request {
        Some(request) => write!(out, "<p><code>{}</code></p>", Escaped(request))?,
        None => out.push_str("<p>Its first write, before it had a name:</p>"),
    }
    out.push_str("<ol class=effects>");
    if let Some(origin) = last.origin {
        write!(out, "<li>{}</li>", Escaped(origin))?;
    }
    for effect in &last.effects {
        write!(out, "<li>{}</li>", Escaped(effect))?;
    }
    if last.effects.is_empty() && last.origin.is_some() {
        out.push_str("<li>nothing was written</li>");
    }
    out.push_str("</ol>");
    Ok(())
}

fn attributes(out: &mut String, attributes: &[(String, String)]) -> fmt::Result {
    out.push_str("<section class=card aria-labelledby=a><h2 id=a>Attributes</h2>");
    if attributes.is_empty() {
        out.push_str("<p class=hint>None.</p>");
    } else {
        out.push_str(
            "<div class=scroll><table><thead><tr><th>name<th>value<th></tr></thead><tbody>",
        );
        for (name, value) in attributes {
            write!(
                out,
                "<tr><th scope=row><a href=\"/api/data/{0}\">{0}</a></th>\
                 <td><code>{1}</code></td><td><form method=post action=\"/form/remove\" \
                 data-method=DELETE data-path=\"/api/data/{0}\"><input type=hidden name=key \
                 value=\"{0}\"><button class=quiet>remove</button></form></td></tr>",
                Escaped(name),
                Escaped(&shortened(value)),
            )?;
        }
        out.push_str("</tbody></table></div>");
    }
    out.push_str(forms::ATTRIBUTES);
    out.push_str("</section>");
    Ok(())
}

/// A value is up to a megabyte long, a cell is not.
fn shortened(value: &str) -> String {
    const MOST: usize = 400;
    match value.char_indices().nth(MOST) {
        Some((end, _)) => format!("{} …", value.get(..end).unwrap_or_default()),
        None => value.to_owned(),
    }
}

fn own_sessions(out: &mut String, view: &View) -> fmt::Result {
    out.push_str("<section class=card aria-labelledby=o><h2 id=o>The owner's sessions</h2>");
    match (&view.own_sessions, &view.owner) {
        (Some(sessions), Some(owner)) => {
            write!(
                out,
                "<p>Signed in as <b id=owner>{}</b>.</p>",
                Escaped(owner)
            )?;
            out.push_str("<ul class=sessions>");
            for session in sessions {
                own_session(out, session)?;
            }
            out.push_str("</ul>");
            out.push_str(forms::OWNER);
        }
        _ => out.push_str("<p class=hint>Nobody is signed in.</p>"),
    }
    out.push_str("</section>");
    Ok(())
}

fn own_session(out: &mut String, session: &OwnSession) -> fmt::Result {
    let here = if session.current {
        " <span class=badge>this one</span>"
    } else {
        ""
    };
    write!(
        out,
        "<li><div><code>{0}</code>{here}<br><small>since <time datetime=\"{1}\">{1}</time>, last \
         used <time datetime=\"{2}\">{2}</time></small></div>\
         <form method=post action=\"/form/end\" data-method=DELETE \
         data-path=\"/api/sessions/{0}\"><input type=hidden name=id value=\"{0}\">\
         <button class=quiet>end</button></form></li>",
        Escaped(&session.id),
        Escaped(&session.created_at),
        Escaped(&session.last_used_at),
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::page::view::Deadline;

    const EVIL: &str = "<script>alert('x')</script>\"&";

    fn view() -> View {
        View {
            notice: Some(EVIL.into()),
            node: Some(EVIL.into()),
            cookies: true,
            presented: "active",
            id: Some("0193-id".into()),
            owner: Some(EVIL.into()),
            deadline: Some(Deadline {
                at: "2026-11-22T16:44:35.000Z".into(),
                left: Duration::from_secs(90),
            }),
            latest: Some("2026-11-23T04:14:35.000Z".into()),
            idle: "30m".into(),
            attributes: vec![
                (EVIL.into(), EVIL.into()),
                ("long".into(), "ä".repeat(1_000)),
            ],
            origin: "hit",
            last: Some(LastRequest {
                request: Some(EVIL.into()),
                origin: Some("load"),
                effects: vec![EVIL.into()],
            }),
            own_sessions: Some(vec![OwnSession {
                id: EVIL.into(),
                created_at: EVIL.into(),
                last_used_at: EVIL.into(),
                current: true,
            }]),
            ..View::default()
        }
    }

    #[test]
    fn every_value_is_escaped() {
        let html = whole(&view());
        assert!(!html.contains("<script>alert"), "{html}");
        assert!(!html.contains("'x'"), "{html}");
        assert!(html.contains("&lt;script&gt;alert(&#39;x&#39;)"));
    }

    #[test]
    fn the_page_shows_the_session_its_deadline_and_the_last_request() {
        let html = whole(&view());
        for part in [
            "0193-id",
            "in 1 min 30 s",
            "data-left=\"90000\"",
            "<dt>at the latest</dt><dd><time datetime=\"2026-11-23T04:14:35.000Z\"",
            "one touch interval later",
            "<li>load</li>",
            "this one",
        ] {
            assert!(html.contains(part), "{part}");
        }
        assert!(html.len() < 40_000, "long values are shortened");
    }

    #[test]
    fn an_end_by_the_absolute_timeout_is_not_explained_by_the_idle_one() {
        let mut view = view();
        view.latest = view.deadline.as_ref().map(|deadline| deadline.at.clone());
        assert!(!whole(&view).contains("touch interval"));
    }

    #[test]
    fn what_can_be_looked_at_is_linked() {
        let html = whole(&view());
        for path in [
            "/api/session",
            "/api/sessions",
            "/api/live",
            "/api/manage/0193-id",
            "/api/stats",
            "/api/events",
            "/metrics",
            "/healthz",
        ] {
            assert!(html.contains(&format!("href=\"{path}\"")), "{path}");
        }
        assert!(!whole(&View::default()).contains("href=\"/api/manage/"));
    }

    #[test]
    fn a_problem_is_told_in_a_sentence() {
        assert!(problem("disabled").contains("--idle disabled"));
        assert!(!problem(EVIL).contains("<script>alert"));
    }
}
