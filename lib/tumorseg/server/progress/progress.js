"use strict";
// The page of server/progress, after common.js and charts.js: asks for the summary again and again and draws what changed.

const OFTEN_MS = 2000; // while something runs
const SELDOM_MS = 15000;
const OPEN = ["RUNNING", "SUBMITTED"];
const STATUS = { RUNNING: "runs", SUBMITTED: "waits", DONE: "is done", ERROR: "failed", STOPPED: "was stopped" };

const drawn = new Map(); // id -> what was drawn there last, as text
let timer = 0;

const percent = (value) => `${Math.round(100 * value)} %`;
const dice = (value) => value.toFixed(3);
const minutes = (seconds) => (seconds < 60 ? `${Math.round(seconds)} s` : `${(seconds / 60).toFixed(1)} min`);
const or = (value, form) => (value === null || value === undefined ? "–" : form(value));
const plain = (value) => String(Number(value.toPrecision(2)) < 10 ? Number(value.toPrecision(2)) : Math.round(value));
const short = (id) => id.split("-")[0];

/** Put elements somewhere, unless what they are drawn from is as it was. */
function put(id, from, make) {
  const state = JSON.stringify(from);
  if (drawn.get(id) === state) return;
  drawn.set(id, state);
  byId(id).replaceChildren(...make());
}

async function show() {
  clearTimeout(timer);
  let next = SELDOM_MS;
  try {
    const said = await ask("/learning/summary");
    if ([said.training, said.scoring].some((job) => job && OPEN.includes(job.status))) next = OFTEN_MS;
    showAll(said);
    if (byId("message").dataset.lost) say("");
    delete byId("message").dataset.lost;
  } catch (error) {
    byId("message").dataset.lost = "yes";
    say(`${error.message}. Asked again every few seconds.`, true);
  }
  timer = setTimeout(show, document.hidden ? SELDOM_MS : next);
}

function showAll(said) {
  put("cases", said.cases, () => tiles(said.cases));
  put("training", said.training, () => (said.training ? [job("Training", said.training)] : []));
  put("actions", [said.trainers, said.training && said.training.status], () => actions(said));
  put("scoring", said.scoring, () => (said.scoring ? [job("Scoring", said.scoring)] : []));
  const shown = said.models.filter((model) => model.versions.length > 1 || said.trainers.includes(model.model));
  put("outlook", shown, () => shown.filter((model) => model.measurements.length || said.trainers[0] === model.model).map(outlook));
  put("charts", [said.rounds, shown], () => charts(said.rounds, shown));
  put("rounds", said.rounds, () => roundsTable(said.rounds));
  byId("rounds").hidden = !said.rounds.length;
  put("versions", shown, () => shown.flatMap(versions));
  byId("people-section").hidden = !(said.annotators && said.annotators.length);
  put("people", said.annotators ?? [], () => people(said.annotators ?? []));
}

function tiles(cases) {
  const scored = cases.scored === null || !cases.left ? "–" : `${cases.scored} of ${cases.left}`;
  const upTo = cases.train_after ? `${cases.new_labels} of ${cases.train_after}` : `${cases.new_labels}`;
  const said = [["Images", cases.images], ["Labelled", cases.labelled], ["Left", cases.left], ["Scored of those left", scored],
    [cases.train_after ? "New labels until the next training" : "New labels since the last training", upTo]];
  return said.map(([name, value]) => make("div", {}, make("dt", { text: name }), make("dd", { text: String(value) })));
}

function job(what, found) {
  const parts = [`${what} of ${found.model} `, make("span", { className: found.status, text: STATUS[found.status] ?? found.status })];
  const epochs = found.total_epochs ? `, epoch ${found.epoch} of ${found.total_epochs}` : "";
  const left = found.eta_s === null ? "" : `, about ${minutes(found.eta_s)} left`;
  const best = found.best_metric === null ? "" : `, best validation Dice ${dice(found.best_metric)}`;
  const by = found.who ? `, asked for by ${found.who}` : "";
  parts.push(`${OPEN.includes(found.status) ? epochs + left : ""}${best}${by}${found.attempts > 1 ? `, attempt ${found.attempts}` : ""}`);
  const shown = make("div", { className: "job" }, make("p", {}, ...parts));
  if (OPEN.includes(found.status)) {
    shown.append(make("progress", { max: 1, value: found.progress, ariaLabel: `${what}: ${percent(found.progress)}` }), ` ${percent(found.progress)}`);
  }
  if (found.error) shown.append(make("p", { className: "ERROR", text: found.error }));
  if (found.details.length) shown.append(make("pre", { text: found.details.slice(-10).join("\n") }));
  return shown;
}

function actions(said) {
  if (!may("reviewer") || !said.trainers.length) return [];
  const choice = make("select", { ariaLabel: "Model to train" }, ...said.trainers.map((name) => make("option", { text: name })));
  const train = button("Train now", act("A training was asked for.", () => ask(`/train/${encodeURIComponent(choice.value)}`, "POST", {})));
  const stop = button("Stop", act("Stopped.", () => ask("/train/", "DELETE")));
  stop.disabled = !(said.training && OPEN.includes(said.training.status));
  return [...(said.trainers.length > 1 ? [choice, " "] : []), train, " ", stop];
}

/** Do something, say so, and show how it is now. */
function act(done, work) {
  return async () => {
    await work();
    say(done);
    await show();
  };
}

function outlook(model) {
  const stop = model.forecast && model.forecast.stop;
  return make("p", { className: stop ? "outlook stop" : "outlook" }, make("b", { text: `${model.model}: ` }), model.outlook);
}

function charts(rounds, models) {
  const rows = rounds.filter((round) => round.model);
  const several = new Set(rows.map((round) => round.model)).size > 1;
  const point = (round, value, form, more = {}) => {
    const version = round.id ? short(round.id) : round.version.slice(0, 6);
    const name = several ? `${round.model} ${version}` : version;
    const tip = `${round.model} ${round.id || round.version}: ${or(value, form)}, ${round.cases} cases`;
    return { name, value, tip, ...more };
  };
  const agreement = (round) => point(round, round.dice, dice, { low: round.low, high: round.high });
  const by = "version that proposed";
  return [
    ...models.filter((model) => model.measurements.length).map(curve),
    chart("Proposals agree with final labels (Dice)", by, rows.map(agreement), dice, 1),
    chart("Minutes per case (median)", by, rows.map((round) => point(round, round.seconds && round.seconds / 60, plain)), plain),
    chart("Accepted as they were", by, rows.map((round) => point(round, round.unchanged, percent)), percent, 1),
    chart("Contour drawn anew (median, pixels)", by, rows.map((round) => point(round, round.path, plain)), plain),
  ];
}

/** Draw what was measured of the versions of a model. */
function curve(model) {
  const measured = model.versions.filter((version) => version.dice !== null && version.dice !== undefined).reverse();
  const points = measured.map((version) => ({
    name: or(version.labelled_cases, String),
    value: version.dice,
    low: version.low,
    high: version.high,
    refused: version.status === "refused",
    tip: `${version.id}, ${version.status}: Dice ${dice(version.dice)} with ${or(version.labelled_cases, String)} labelled cases`,
  }));
  return chart(`${model.model}: Dice on validation patients`, "labelled cases", points, dice, 1);
}

function table(columns, rows) {
  const numeric = (cell) => (cell.number ? "number" : "");
  const head = make("tr", {}, ...columns.map((cell) => make("th", { text: cell.name, className: numeric(cell) })));
  const lines = rows.flatMap((row) => {
    const line = make("tr", { className: row.serves ? "serves" : "" },
      ...columns.map((cell) => make("td", { className: numeric(cell) }, cell.of(row))));
    if (!row.why) return [line];
    // A sentence would make its column, and with it the page, as long as a roll of paper.
    const why = make("td", { className: "soft", text: row.why });
    why.colSpan = columns.length;
    return [line, make("tr", { className: row.serves ? "why serves" : "why" }, why)];
  });
  return [make("thead", {}, head), make("tbody", {}, ...lines)];
}

function roundsTable(rounds) {
  return table([
    { name: "Proposals of", of: (round) => (round.model ? `${round.model} ${round.id || round.version}` : "nothing: drawn anew") },
    { name: "Cases", number: true, of: (round) => String(round.cases) },
    { name: "Time (median)", number: true, of: (round) => or(round.seconds, minutes) },
    { name: "Dice", number: true, of: (round) => or(round.dice, dice) },
    { name: "95 %", number: true, of: (round) => (round.low === null ? "–" : `${dice(round.low)} … ${dice(round.high)}`) },
    { name: "Changed", number: true, of: (round) => or(round.share, percent) },
    { name: "Volume", number: true, of: (round) => or(round.ml, (value) => `${value.toFixed(2)} ml`) },
    { name: "Accepted", number: true, of: (round) => or(round.unchanged, percent) },
  ], rounds);
}

function versions(model) {
  const made = (version) => (version.made_at ? `${when(version.made_at)}${version.made_by ? `, ${version.made_by}` : ""}` : "");
  const change = (version) => {
    const { difference, low, high } = version.difference ?? {};
    return difference === null || difference === undefined ? "–" : `${signed(difference)}${low === null ? "" : ` (${signed(low)} … ${signed(high)})`}`;
  };
  const columns = [
    { name: "Version", of: (version) => make("span", { className: "id", text: version.id }) },
    { name: "Made", of: (version) => made(version) || "comes with tumorseg" },
    { name: "State", of: (version) => make("span", { className: version.status, text: state(version) }) },
    { name: "Labels", number: true, of: (version) => or(version.labelled_cases, String) },
    { name: "Dice", number: true, of: (version) => or(version.dice, dice) + (or(version.low, dice) === "–" ? "" : ` (${dice(version.low)} … ${dice(version.high)})`) },
    { name: "Against the one before", number: true, of: change },
    { name: "", of: (version) => rollback(model, version) },
  ];
  return [make("h3", { text: model.model }), make("table", {}, ...table(columns, model.versions))];
}

function state(version) {
  if (version.serves) return "serves";
  // Refused before anything was trained: the labels were no good.
  const nothing = version.status === "refused" && (version.dice === null || version.dice === undefined);
  return nothing ? version.status : `${version.status}, ${version.how}`;
}

const signed = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(3)}`;

function rollback(model, version) {
  if (!may("admin") || version.serves || version.status !== "published") return "";
  const path = `/model/${encodeURIComponent(model.model)}/rollback`;
  return button("Serve this", act(`${model.model} is ${version.id} now.`, () => ask(path, "POST", { version: version.id })));
}

function people(found) {
  return table([
    { name: "Who", of: (person) => person.name },
    { name: "Cases", number: true, of: (person) => String(person.cases) },
    { name: "Time (median)", number: true, of: (person) => or(person.seconds, minutes) },
    { name: "Dice of the proposals", number: true, of: (person) => or(person.dice, dice) },
    { name: "Accepted as they were", number: true, of: (person) => or(person.unchanged, percent) },
  ], found);
}

document.addEventListener("visibilitychange", () => (document.hidden ? undefined : show()));
show();
