"use strict";
// What our pages share. Everything that comes from the server is put in as text, never as markup: names of images,
// authors and comments may hold anything.

const RANK = { annotator: 2, reviewer: 3, admin: 4 };
const me = { name: document.body.dataset.name, rank: Number(document.body.dataset.rank) };

const byId = (id) => document.getElementById(id);
const may = (role) => me.rank >= RANK[role];
const when = (text) => new Date(text).toLocaleString();

/** Make an element with text or children. */
function make(name, options = {}, ...children) {
  const element = document.createElement(name);
  const { text, ...rest } = options;
  Object.assign(element, rest);
  if (text !== undefined) element.textContent = text;
  element.append(...children);
  return element;
}

function button(text, act) {
  const made = make("button", { type: "button", text });
  made.addEventListener("click", async () => {
    made.disabled = true;
    await doing(act);
    made.disabled = false;
  });
  return made;
}

function say(text, error = false) {
  byId("message").textContent = text;
  byId("message").className = error ? "error" : "";
}

/** Do something and show what goes wrong. */
async function doing(act) {
  try {
    await act();
  } catch (error) {
    say(error.message, true);
  }
}

async function ask(path, method = "GET", body = undefined) {
  const options = { method, headers: { Accept: "application/json" }, credentials: "same-origin" };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const answer = await fetch(path, options);
  const said = await answer.json().catch(() => ({}));
  if (answer.status === 401) location.assign(`/signin?next=${encodeURIComponent(location.pathname)}`);
  if (!answer.ok) {
    const detail = typeof said.detail === "string" ? said.detail : JSON.stringify(said.detail ?? said);
    throw new Error(`${answer.status}: ${detail}`);
  }
  return said;
}
