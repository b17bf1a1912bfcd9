"use strict";
// The page of server/review, after common.js: cases on the left, the versions of one on the right.

const PAGE = 50;
const STATES = ["", "open", "rejected", "approved", "unlabelled"];
const view = { state: "", offset: 0, image: "" };
let asked = 0; // answers that come after a later question are dropped

const shown = { newest: "" }; // the version that was the newest when something was drawn

const tag = () => byId("tag").value.trim() || "final";
const address = (image, rest = "") => `/labels/${encodeURIComponent(image)}${rest}`;

async function showCases() {
  const wanted = new URLSearchParams({ tag: tag(), offset: view.offset, limit: PAGE });
  if (view.state) wanted.set("state", view.state);
  const found = await ask(`/labels/?${wanted}`);
  byId("filters").replaceChildren(...STATES.map((state) => filter(state, found.counts)));
  byId("cases").replaceChildren(...found.images.map((item) => make("li", {}, caseButton(item))));
  const last = found.offset + found.images.length;
  byId("where").textContent = found.total ? `${found.offset + 1}–${last} of ${found.total}` : "none";
  byId("earlier").disabled = found.offset === 0;
  byId("later").disabled = last >= found.total;
}

function filter(state, counts) {
  const name = state || "all";
  const made = button(`${name} ${counts[state || "images"]}`, async () => {
    Object.assign(view, { state, offset: 0 });
    await showCases();
  });
  made.setAttribute("aria-pressed", String(view.state === state));
  return made;
}

function caseButton(item) {
  const head = item.heads.find((version) => version.tag === tag());
  const none = head && head.kind === "no_lesion" ? ", no lesion" : "";
  const held = item.lease ? ` · ${item.lease.holder}` : "";
  const made = button("", () => showCase(item.image));
  made.setAttribute("aria-current", String(item.image === view.image));
  made.append(
    make("span", { className: "name", text: item.title || item.image, title: item.image }),
    make("span", { className: `state ${item.state}`, text: `${item.state}${none}${held}` }),
  );
  return made;
}

async function showCase(image) {
  const mine = ++asked;
  const found = await ask(address(image));
  const comparable = found.annotators.length > 1;
  const agreement = comparable ? await ask(address(image, `/agreement?tag=${encodeURIComponent(tag())}`)).catch(
    (error) => ({ error: error.message })) : null;
  if (mine !== asked) return;
  if (view.image !== image) byId("comment").value = "";
  view.image = image;
  location.hash = encodeURIComponent(image);
  byId("case").hidden = false;
  byId("image").textContent = found.title || image;
  byId("uid").textContent = found.title ? image : "";
  byId("viewer").hidden = !found.study;
  byId("viewer").href = `/ohif/viewer?StudyInstanceUIDs=${encodeURIComponent(found.study)}`;
  const newest = found.versions.find((version) => version.newest && version.tag === tag());
  if (shown.newest !== `${image} ${newest?.uid}`) look(image, newest);
  shown.newest = `${image} ${newest?.uid}`;
  byId("lease").textContent = found.lease ? `${found.lease.holder} works on it until ${when(found.lease.until)}.` : "";
  byId("remark").hidden = !may("annotator");
  byId("actions").replaceChildren(...caseActions(image, found, comparable));
  byId("versions").replaceChildren(...found.versions.map((version) => row(image, version)));
  byId("agreement").replaceChildren(...(agreement ? dice(agreement) : []));
  await showCases();
}

/** Draw a version on the slices of its image. */
function look(image, version) {
  const picture = byId("picture");
  const none = !version || version.kind === "removed";
  picture.hidden = none;
  if (none) return picture.removeAttribute("src");
  picture.alt = `${version.tag} by ${version.author}, drawn on the slices of the image`;
  picture.src = address(image, `/versions/${encodeURIComponent(version.uid)}/picture`);
}

/** Do something to the open case, then show how it is now. */
function change(done, act) {
  return async () => {
    await act();
    byId("comment").value = "";
    await showCase(view.image);
    say(done);
  };
}

function caseActions(image, found, comparable) {
  const actions = [];
  const query = `tag=${encodeURIComponent(tag())}`;
  if (may("annotator")) {
    actions.push(button("No lesion", change("Kept: no lesion.", () => ask(address(image, `/no-lesion?${query}`), "PUT"))));
    const lease = address(image, "/lease");
    actions.push(found.lease
      ? button("Give back", change("Given back.", () => ask(lease, "DELETE")))
      : button("Take this case", change("It is yours for now.", () => ask(lease, "PUT"))));
  }
  if (may("reviewer") && comparable) {
    const estimate = () => ask(address(image, `/consensus?${query}`), "POST");
    actions.push(button("Make consensus", change("Kept: a consensus.", estimate)));
  }
  return actions.flatMap((action) => [action, " "]);
}

function row(image, version) {
  const path = address(image, `/versions/${encodeURIComponent(version.uid)}`);
  const kinds = { label: "label", no_lesion: "no lesion", removed: "removed" };
  const file = version.kind === "removed" ? [] : [
    " ", button("Show", () => look(image, version)), " ", make("a", { href: `${path}/file`, text: "file" })];
  const tool = version.tool.startsWith("Mozilla/") ? "a browser" : version.tool;
  const made = [tool, version.model && `${version.model} ${version.model_version}`].filter(Boolean).join(", ");
  const state = make("td", {}, make("span", { className: `state ${version.state}`, text: version.state }), said(version.reviews));
  const cells = [
    make("td", { text: when(version.created) }),
    make("td", { text: version.author }),
    make("td", {}, `${version.tag}: ${kinds[version.kind]}${version.newest ? ", newest" : ""}`, ...file),
    make("td", { className: "soft", text: made }),
    state,
    make("td", {}, ...versionActions(path, version)),
  ];
  return make("tr", { className: version.newest ? "newest" : "" }, ...cells);
}

function said(reviews) {
  const lines = reviews.map((review) =>
    make("li", { text: `${review.reviewer}, ${when(review.created)}: ${review.verdict} ${review.comment}` }));
  return lines.length ? make("ul", { className: "said" }, ...lines) : "";
}

function versionActions(path, version) {
  const actions = [];
  if (version.kind === "removed") return actions;
  const review = (verdict) => () =>
    ask(`${path}/review`, "POST", { verdict, comment: byId("comment").value });
  if (may("reviewer")) {
    if (version.author !== me.name || may("admin")) actions.push(button("Approve", change("Approved.", review("approve"))));
    actions.push(button("Reject", change("Rejected.", review("reject"))));
  }
  if (may("annotator")) actions.push(button("Comment", change("Noted.", review("comment"))));
  if (!version.newest && may("annotator") && (version.author === me.name || may("reviewer"))) {
    actions.push(button("Restore", change("Restored as a new version.", () => ask(`${path}/restore`, "POST"))));
  }
  return actions;
}

/** Tables of Dice coefficients, one a class. */
function dice(found) {
  if (found.error) return [make("p", { className: "soft", text: `The labels cannot be compared: ${found.error}` })];
  const matrices = Object.entries(found.dice);
  const shown = matrices.length ? matrices : [["anything", found.marked]];
  return shown.map(([name, matrix]) => {
    const head = make("tr", {}, make("th", { text: name }), ...found.annotators.map((who) => make("th", { text: who })));
    const rows = matrix.map((line, index) => make("tr", {}, make("th", { text: found.annotators[index] }),
      ...line.map((value) => make("td", { text: value.toFixed(3) }))));
    return make("table", { className: "dice" }, make("caption", { text: `Agreement (Dice): ${name}` }), head, ...rows);
  });
}

function turn(by) {
  return () => doing(async () => {
    view.offset = Math.max(0, view.offset + by);
    await showCases();
  });
}

byId("earlier").addEventListener("click", turn(-PAGE));
byId("later").addEventListener("click", turn(PAGE));
byId("tag").addEventListener("change", () => doing(() => (view.image ? showCase(view.image) : showCases())));
doing(async () => {
  const named = decodeURIComponent(location.hash.slice(1));
  await (named ? showCase(named) : showCases());
});
