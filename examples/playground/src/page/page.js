// Comfort only: the page works without this file.
"use strict";
(() => {
  const answer = document.getElementById("answer");
  let loaded = performance.now();

  // What is left until the session ends, counted from what the server said: the clocks may differ.
  function count() {
    for (const span of document.querySelectorAll("[data-left]")) {
      const left = Math.max(0, Number(span.dataset.left) - (performance.now() - loaded));
      const s = Math.floor(left / 1000), m = Math.floor(s / 60), h = Math.floor(m / 60), d = Math.floor(h / 24);
      span.textContent = left === 0 ? "has ended unless it was used"
        : d ? `in ${d} d ${h % 24} h` : h ? `in ${h} h ${m % 60} min` : m ? `in ${m} min ${s % 60} s` : `in ${s} s`;
    }
  }

  // Local time for people, the exact one on hover.
  function localise() {
    for (const time of document.querySelectorAll("time[datetime]")) {
      const at = new Date(time.dateTime);
      if (isNaN(at)) continue;
      time.title = time.dateTime;
      const today = at.toDateString() === new Date().toDateString();
      time.textContent = today ? at.toLocaleTimeString() : at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
    }
  }

  function show(title, good, body) {
    const p = document.createElement("p"), b = document.createElement("b"), close = document.createElement("button");
    b.textContent = title;
    b.className = good ? "good" : "bad";
    close.textContent = "close";
    close.className = "quiet";
    close.onclick = () => { answer.hidden = true; };
    p.append(b, close);
    const pre = document.createElement("pre");
    pre.textContent = body;
    answer.replaceChildren(p, ...(body ? [pre] : []));
    answer.hidden = false;
  }

  function pretty(text) {
    // Parsed only to see whether it is JSON: a number with many digits must not be changed.
    try { JSON.parse(text); } catch { return text.slice(0, 20000); }
    return text.length < 2000 && !/\d{15}/.test(text) ? JSON.stringify(JSON.parse(text), null, 2) : text.slice(0, 20000);
  }

  function json(text) {
    try { JSON.parse(text); return text; } catch { return JSON.stringify(text); }
  }

  function fill(template, fields, plain) {
    return template.replace(/\{(\w+)(?::(\w+))?\}/g, (_, name, kind) => {
      const value = String(fields.get(name) ?? "");
      if (kind === "json") return json(value);
      if (kind === "text") return JSON.stringify(value);
      return plain(value);
    });
  }

  // Draws the page anew. Fields that somebody has changed keep what was typed.
  async function refresh() {
    const reply = await fetch("/", { headers: { accept: "text/html" } });
    const next = new DOMParser().parseFromString(await reply.text(), "text/html").getElementById("main");
    if (!next) return;
    const key = (input) => `${input.form?.getAttribute("action")}|${input.name}`;
    const typed = new Map();
    for (const input of document.querySelectorAll("#main input:not([type=hidden])")) typed.set(key(input), input.value);
    for (const input of next.querySelectorAll("input:not([type=hidden])")) {
      const value = typed.get(key(input));
      if (value !== undefined) input.value = value;
    }
    document.getElementById("main").replaceWith(next);
    loaded = performance.now();
    enhance();
  }

  async function call(form) {
    const fields = new FormData(form);
    const method = form.dataset.method;
    const path = fill(form.dataset.path, fields, encodeURIComponent);
    const body = form.dataset.body ? fill(form.dataset.body, fields, (value) => value) : undefined;
    const title = `${method} ${path}`;
    try {
      const reply = await fetch(path, { method, body });
      const text = await reply.text();
      show(`${title} → ${reply.status}`, reply.ok, pretty(text));
    } catch (error) {
      show(`${title} → the connection broke`, false, String(error));
    }
    await refresh();
  }

  let socket;
  function send(message) {
    if (socket && socket.readyState === WebSocket.OPEN) return socket.send(message);
    socket = new WebSocket(new URL("/api/ws", location.href.replace(/^http/, "ws")));
    socket.onopen = () => socket.send(message);
    socket.onmessage = async (event) => { show("WebSocket", event.data === "ok", event.data); await refresh(); };
    socket.onerror = () => show("WebSocket", false, "the connection broke");
  }

  function enhance() {
    localise();
    count();
    const ws = document.querySelector("#ws button");
    if (ws) ws.disabled = false;
  }

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.id === "ws") {
      event.preventDefault();
      send(form.elements.message.value);
    } else if (form.dataset.method) {
      event.preventDefault();
      for (const button of form.querySelectorAll("button")) button.disabled = true;
      call(form).catch((error) => show("the page", false, String(error))).finally(() => {
        for (const button of form.querySelectorAll("button")) button.disabled = false;
      });
    }
  });

  setInterval(count, 1000);
  enhance();
})();
