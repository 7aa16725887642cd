"use strict";
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const by = (id) => document.getElementById(id);
  const element = (name, css, text) => {
    const made = document.createElement(name);
    if (css) made.className = css;
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const drawn = (name, attributes) => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };
  const bar = (parts, css) => {
    const made = drawn("svg", { class: css, width: "100%", height: "10", "aria-hidden": "true" });
    made.append(drawn("rect", { class: "rail", width: "100%", height: "10" }));
    let x = 0;
    for (const [name, share] of parts) {
      made.append(drawn("rect", { class: name, x: `${(100 * x).toFixed(3)}%`, width: `${(100 * share).toFixed(3)}%`, height: "10" }));
      x += share;
    }
    return made;
  };
  const dot = (name) => {
    const made = drawn("svg", { class: "dot", width: "9", height: "9", "aria-hidden": "true" });
    made.append(drawn("circle", { class: `state-${name}`, cx: "4.5", cy: "4.5", r: "4.5" }));
    return made;
  };
  const count = (value) => value.toLocaleString("en-US");

  /* What did not change is left alone: text stays selected, and nothing is laid out again. */
  const shown = new Map();
  const fill = (name, value, make) => {
    const text = JSON.stringify(value);
    if (shown.get(name) === text) return;
    shown.set(name, text);
    by(name).replaceChildren(...make(value));
  };

  const bytes = (value) => {
    let unit = "B";
    for (const next of ["kB", "MB", "GB", "TB"]) {
      if (value < 999.5) break;
      value /= 1000;
      unit = next;
    }
    return `${unit === "B" || value >= 100 ? Math.round(value) : +value.toFixed(1)} ${unit}`;
  };
  const duration = (seconds) => {
    if (seconds < 60) return `${Math.round(seconds)} s`;
    if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
    return seconds < 172800 ? `${+(seconds / 3600).toFixed(1)} h` : `${+(seconds / 86400).toFixed(1)} d`;
  };
  const CHARTS = [
    ["rate", 1, (value) => `${bytes(value)}/s`],
    ["files", 2, (value) => `${+value.toFixed(1)}/s`],
    ["flight", 3, (value) => `${+value.toFixed(1)}`],
  ];
  const roundTop = (value) => {
    const unit = 10 ** Math.floor(Math.log10(value));
    return [1, 1.2, 1.6, 2, 2.4, 3, 4, 6, 8, 10].find((one) => one * unit >= value * 0.9999) * unit;
  };
  const chart = (name, column, words, points, isOver) => {
    const values = points.map((one) => one[column]);
    const most = Math.max(...values);
    const top = name === "flight" && most < 10 ? Math.max(2, 2 * Math.ceil(most / 2)) : roundTop(Math.max(1, most));
    const [began, ended] = [points[0][0], points[points.length - 1][0]];
    const x = (at) => (600 * (at - began) / Math.max(1e-9, ended - began)).toFixed(1);
    const line = points.map((one, at) => `${at ? "L" : "M"}${x(one[0])} ${(100 - 100 * one[column] / top).toFixed(1)}`).join("");
    const svg = by(name);
    svg.querySelector(".line").setAttribute("d", line);
    svg.querySelector(".area").setAttribute("d", `${line}L600 100L0 100Z`);
    fill(`${name}-scale`, [top, top / 2, 0].map(words), (labels) => labels.map((one) => element("span", "", one)));
    fill(`${name}-time`, [duration(began), isOver ? "end" : "now"], (labels) => labels.map((one) => element("span", "", one)));
    by(`${name}-summary`).textContent = isOver ? `${words(most)} at most.` : `${words(values[values.length - 1])} now, ${words(most)} at most.`;
  };

  /* These change each second: rows stay, and only what is new in them is written. */
  const newUpload = () => {
    const row = element("tr");
    const name = element("th", "mono");
    name.scope = "row";
    const cell = element("td", "cell-share");
    cell.append(bar([["fill", 0]], "share"));
    row.append(name, element("td", "number"), cell, element("td"), element("td", "number"), element("td", "mono agent"));
    return row;
  };
  const write = (node, text) => {
    if (node.textContent !== text) node.textContent = text;
  };
  const showUploads = (uploads, hasAgents) => {
    by("uploads-agent").hidden = !hasAgents;
    const body = by("uploads-rows");
    while (body.rows.length > uploads.length) body.deleteRow(-1);
    uploads.forEach(([path, size, sent, doing, since, agent], at) => {
      const row = body.rows[at] || body.appendChild(newUpload());
      const [name, sizeCell, share, doingCell, sinceCell, agentCell] = row.cells;
      write(name, path);
      write(sizeCell, size);
      share.firstChild.style.visibility = sent === null ? "hidden" : "";
      if (sent !== null) share.querySelector(".fill").setAttribute("width", `${(100 * sent).toFixed(1)}%`);
      write(doingCell, doing);
      write(sinceCell, since);
      write(agentCell, agent);
      agentCell.hidden = !hasAgents;
    });
  };

  let phase = "";
  const enter = (state) => {
    const entered = state.phase + (state.good ? ", well" : "");
    if (entered === by("headline").dataset.phase) return;
    phase = state.phase;
    by("headline").dataset.phase = entered;
    by("headline").className = phase === "ended" ? (state.good ? "good" : "bad") : phase === "running" ? "" : "held";
    /* Each file would be too much to be read out. */
    by("said").textContent = `${state.title}. ${state.why}`;
  };
  const show = (state) => {
    enter(state);
    document.body.classList.remove("gone");
    by("ledger").textContent = state.ledger;
    by("headline").textContent = state.title;
    by("why").textContent = state.why;
    const [done, all] = state.files;
    const [safe, moved, total] = state.bytes;
    document.title = `${all ? Math.floor(100 * done / all) : 0} % ${state.phase}`;
    fill("legend", state.states, (states) => states.map(([name, words, number]) => {
      const item = element("li");
      item.append(dot(name), `${words} `, element("b", "", count(number)));
      return item;
    }));
    fill("bars", [state.states, state.files_text, state.bytes, state.bytes_text], () => [
      ...(all ? [element("span", "name", "files"), bar(state.states.map(([name, , number]) => [`state-${name}`, number / all]), "whole"), element("span", "", state.files_text)] : []),
      ...(total ? [element("span", "name", "bytes"), bar([["state-accepted", safe / total], ["fill", (moved - safe) / total]], "whole"), element("span", "", state.bytes_text)] : []),
    ]);
    fill("numbers", state.numbers, (numbers) => numbers.map(([name, value, note]) => {
      const box = element("div");
      const figure = element("dd", "", value);
      if (note) figure.append(element("small", "", note));
      box.append(element("dt", "", name), figure);
      return box;
    }));
    by("charts").hidden = state.points.length < 2;
    if (state.points.length > 1) for (const [name, column, words] of CHARTS) chart(name, column, words, state.points, phase === "ended");
    by("failures").hidden = !state.failures.length;
    by("failures-more").hidden = state.failure_count <= state.failures.length;
    by("failures-more").firstChild.textContent = `The first ${count(state.failures.length)} of ${count(state.failure_count)}; `;
    fill("failures-rows", state.failures, (failures) => failures.map((one) => {
      const row = element("tr");
      const name = element("th", "mono", one.path);
      name.scope = "row";
      row.append(name, element("td", `state tag-${one.state}`, one.word), element("td", "", one.reason));
      return row;
    }));
    by("uploads").hidden = !state.uploads.length;
    showUploads(state.uploads, state.agents.length > 0);
    by("agents").hidden = !state.agents.length;
    write(by("agents-text"), state.agents_text);
    fill("agents-rows", state.agents, (agents) => agents.map(([agent, now, doing, sent, accepted, fate]) => {
      const row = element("tr");
      const name = element("th", "mono", agent);
      name.scope = "row";
      row.append(name, element("td", `agent-${now}`, doing), element("td", "number", bytes(sent)), element("td", "number", count(accepted)), element("td", "", fate));
      return row;
    }));
    by("control").hidden = !state.may_change;
    by("pause").textContent = state.paused_by_hand ? "Resume" : "Pause";
    by("pause").dataset.paused = state.paused_by_hand;
  };

  const send = async (path, value) => fetch(path, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(value), credentials: "same-origin",
  });
  const change = async (asked) => {
    try {
      const answer = await send("/control", asked);
      const { changes, refused } = answer.ok ? await answer.json() : { refused: await answer.text() };
      by("answer").textContent = (refused || changes.join(", ") || "nothing changed").trim();
      by("answer").className = refused ? "bad" : "";
    } catch {
      by("answer").textContent = "The command that serves this page does not answer.";
      by("answer").className = "bad";
    }
  };
  by("pause").addEventListener("click", () => change({ paused: by("pause").dataset.paused !== "true" }));
  by("changes").addEventListener("submit", (event) => {
    event.preventDefault();
    const given = [...new FormData(by("changes"))].filter(([, value]) => value.trim());
    if (given.length) change(Object.fromEntries(given.map(([name, value]) => [name, value.trim()])));
  });

  const refuse = (words) => {
    by("headline").textContent = "Not connected";
    by("said").textContent = `Not connected. ${words}`;
    by("why").textContent = words;
  };
  const listen = () => {
    const events = new EventSource("/events");
    events.onmessage = (event) => show(JSON.parse(event.data));
    events.onerror = () => {
      /* A page that is served with a run goes with it: what it shows is the end. */
      if (phase === "ended") return;
      document.body.classList.add("gone");
      if (events.readyState === EventSource.CLOSED) refuse("Open the address that the command printed, with all that follows #.");
      else by("why").textContent = "The command that serves this page does not answer; trying again.";
    };
  };
  (async () => {
    const token = location.hash.slice(1);
    if (token) {
      /* The token must not stay in the address: it would be copied and kept in the history. */
      history.replaceState(null, "", location.pathname);
      try {
        const answer = await send("/session", { token });
        if (!answer.ok) return refuse((await answer.text()).trim());
      } catch {
        return refuse("The command that serves this page does not answer.");
      }
    }
    return listen();
  })();
})();
