//! The buttons: plain forms, each with what the script calls instead (`data-method`, `data-path`,
//! `data-body` in the API's words; `{name}` is the field of that name).

/// Below the attributes.
pub(super) const ATTRIBUTES: &str = r#"
<form class=line method=post action="/form/set" data-method=PUT data-path="/api/data/{key}" data-body="{value:json}">
<label>name <input name=key required maxlength=128 pattern="[A-Za-z0-9_.\-]+" autocomplete=off></label>
<label class=wide>value <input name=value required placeholder="JSON or text" autocomplete=off></label>
<button class=primary>set</button></form>
<form class=line method=post action="/form/add" data-method=POST data-path="/api/data/{key}/add" data-body='{"by":{by:number}}'>
<label>counter <input name=key required value=visits maxlength=128 pattern="[A-Za-z0-9_.\-]+" autocomplete=off></label>
<label>by <input name=by type=number required value=1 step=1></label>
<button class=primary>add</button></form>
<form class=line method=post action="/form/clear" data-method=DELETE data-path="/api/data"><button class=quiet>clear all</button></form>
"#;

/// Below the owner's sessions.
pub(super) const OWNER: &str = r#"
<form method=post action="/form/end-others" data-method=DELETE data-path="/api/sessions"><button>end all others</button></form>
"#;

/// The session as a whole.
pub(super) const SESSION: &str = r#"
<section class=card aria-labelledby=k><h2 id=k>Session controls</h2><div class=stack>
<form class=line method=post action="/form/login" data-method=POST data-path="/api/login" data-body='{"owner":{owner:text}}'>
<label class=wide>owner <input name=owner required value=ada maxlength=255 autocomplete=off></label><button class=primary>sign in</button></form>
<form class=line method=post action="/form/timeout" data-method=POST data-path="/api/timeout" data-body='{"idle":{idle:text}}'>
<label class=wide>own idle timeout <input name=idle required value=5m autocomplete=off></label><button>set</button></form>
<div class=buttons><form method=post action="/form/renew" data-method=POST data-path="/api/renew"><button>renew the secret</button></form>
<form method=post action="/form/logout" data-method=DELETE data-path="/api/session"><button class=danger>destroy the session</button></form></div>
<p class=hint>As JSON: <a href="/api/session">the session</a>, <a href="/api/sessions">the owner's sessions</a>, <a href="/api/live">for a live session only</a>.</p>
</div></section>
"#;

/// Handlers that misbehave on purpose.
pub(super) const TRIAL: &str = r#"
<section class=card aria-labelledby=t><h2 id=t>Trials</h2><div class=grid>
<form class=line method=post action="/form/slow" data-method=PUT data-path="/api/slow/{key}?ms={ms}" data-body="{value:json}">
<label>name <input name=key required value=slow maxlength=128></label><label>value <input name=value required value=1></label>
<label>ms <input name=ms type=number required value=1000 min=0 max=600000></label><button>slow write</button></form>
<form class=line method=get action="/api/slow"><label>ms <input name=ms type=number required value=1000 min=0 max=600000></label>
<button>slow read</button></form>
<form class=line method=post action="/form/status" data-method=PUT data-path="/api/status/{code}/{key}" data-body="{value:json}">
<label>status <input name=code type=number required value=500 min=200 max=599></label><label>name <input name=key required value=status maxlength=128></label>
<label>value <input name=value required value=1></label><button>answer with it</button></form>
<form class=line method=post action="/form/stream" data-method=PUT data-path="/api/stream/{key}?ms={ms}" data-body="{value:json}">
<label>name <input name=key required value=streamed maxlength=128></label><label>value <input name=value required value=1></label>
<label>ms <input name=ms type=number required value=1000 min=0 max=600000></label><button>stream, write late</button></form>
<form class=line method=post action="/form/panic" data-method=POST data-path="/api/panic/{key}">
<label class=wide>name <input name=key required value=lost maxlength=128></label><button class=danger>panic</button></form>
<form class=line id=ws><label class=wide>message <input name=message required value="colour=red" autocomplete=off></label>
<button disabled>send by WebSocket</button><noscript><small>A WebSocket needs a script.</small></noscript></form>
</div></section>
"#;

/// What would be behind an admin's door.
pub(super) const OPERATOR: &str = r#"
<section class="card admin" aria-labelledby=h><h2 id=h>Operator <span class=badge>behind an admin's door in a real application</span></h2>
<div class=buttons><a class=button href="/api/stats">statistics</a><a class=button href="/metrics">metrics</a><a class=button href="/healthz">health</a><a class=button href="/api/events">events, as they happen</a>
<form method=post action="/form/housekeeper/poll" data-method=POST data-path="/api/housekeeper/poll"><button>poll now</button></form>
<form method=post action="/form/housekeeper/purge" data-method=POST data-path="/api/housekeeper/purge"><button>purge now</button></form></div>
<p class=hint>With <code>curl</code> only: <code>PUT /api/housekeeper/poll</code> (another schedule), <code>/api/manage/owner/{owner}</code>,
<code>POST /api/manage/expired</code>, <code>POST /api/manage/reset</code>, and <code>/api/scope/{key}</code> for attributes of a second scope.
The playground's README has them all.</p></section>
"#;
