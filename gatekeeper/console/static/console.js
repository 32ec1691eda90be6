// The one script of the console: passkeys, and a warning before a session ends. All else works without it.

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
