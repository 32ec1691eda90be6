// The one script of the console: passkeys, sessions that end, what changes while a page is open, shortcuts.
// Every page works without it.

const buttons = document.querySelectorAll("button[data-passkey]");

for (const button of buttons) {
  if (!window.PublicKeyCredential?.parseRequestOptionsFromJSON) break;
  button.closest("[hidden]")?.removeAttribute("hidden");
  button.addEventListener("click", () => use(button));
}

async function use(button) {
  const form = button.form, told = form.querySelector("[data-told]");
  button.disabled = true;
  told.textContent = "";
  try {
    form.elements.answer.value = JSON.stringify(await ask(button.dataset.passkey, new URLSearchParams(new FormData(form))));
    form.submit();
  } catch (error) {
    told.textContent = error.name === "NotAllowedError" ? told.dataset.ended : told.dataset.failed;
    button.disabled = false;
    button.focus();
  }
}

async function ask(place, fields) {
  const answer = await fetch(place, { method: "POST", body: fields });
  if (!answer.ok) throw new Error(answer.statusText);
  const options = await answer.json();
  const credential = options.user
    ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) })
    : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) });
  return credential.toJSON();
}

// Two minutes before a session ends by itself, and half a minute more, since its use is noted no oftener.
const idle = document.getElementById("idle");

if (idle) {
  warnIn(Number(idle.dataset.left));
  idle.querySelector("button").addEventListener("click", stay);
}

function warnIn(seconds) {
  setTimeout(() => show(idle.dataset.words, Number(idle.dataset.left) >= Number(idle.dataset.idle)), Math.max(0, seconds - 150) * 1000);
}

function show(words, canStay) {
  idle.querySelector("p").textContent = words;
  idle.querySelector("button").hidden = !canStay;
}

async function stay() {
  const answer = await fetch("/accessibility", { method: "HEAD" });
  if (!answer.ok) return;
  show("", false);
  warnIn(Number(idle.dataset.idle));
}

// -- what changes while a page is open: it is told, and never put in the place of what is being read --

const live = document.querySelector("[data-live]"), shown = document.querySelector("main[data-id]");

if (live && window.EventSource) {
  const source = new EventSource(document.body.dataset.events);
  source.addEventListener("waiting", (event) => count(JSON.parse(event.data).count));
  for (const kind of ["mailing", "request"]) source.addEventListener(kind, (event) => changed(JSON.parse(event.data)));
  addEventListener("pagehide", () => source.close());
}

function count(number) {
  const link = document.querySelector('nav a[href="/waiting"]');
  if (!link) return;
  const badge = link.querySelector("[data-waits]") ?? link.appendChild(document.createElement("span"));
  badge.dataset.waits = "";
  badge.className = "count";
  badge.textContent = number ? number.toLocaleString(document.documentElement.lang) : "";
  badge.hidden = !number;
}

function changed(matter) {
  if (shown?.dataset.id !== matter.id || shown.dataset.version === matter.version || live.childNodes.length) return;
  const link = document.createElement("a");
  link.href = location.pathname + location.search;
  link.textContent = live.dataset.show;
  live.append(live.dataset.changed, " ", link);
}

// -- shortcuts: they go to places and choose, and send nothing --

const places = { w: "/waiting", m: "/mailings", r: "/requests" }, choices = { a: "approve", c: "changes", d: "deny" };
let went = 0;

if ("shortcuts" in document.body.dataset) addEventListener("keydown", pressed);

function pressed(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest("input, textarea, select")) return;
  const rows = [...document.querySelectorAll(".queue tbody a[href]:first-of-type")], at = rows.indexOf(document.activeElement);
  const choice = document.querySelector(`input[name="decision"][value="${choices[event.key]}"]`);
  if (event.timeStamp - went < 1000 && places[event.key]) location.assign(places[event.key]);
  else if (event.key === "g") went = event.timeStamp;
  else if (event.key === "?") location.assign("/accessibility#shortcuts");
  else if (event.key === "/") focus(document.querySelector('input[name="q"]'), event);
  else if (event.key === "j") focus(rows[at + 1], event);
  else if (event.key === "k") focus(rows[at - 1], event);
  else if (event.key === "o" && at >= 0) rows[at].click();
  else if (choice) {
    choice.checked = true;
    focus(choice.form.elements.reason, event);
  }
}

function focus(element, event) {
  element?.focus();
  event.preventDefault();
}
