// The one script of the console: passkeys. Every other page works without it.

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
