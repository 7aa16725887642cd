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
  const share = (value) => {
    const bar = drawn("svg", { class: "share", width: "100%", height: "8", "aria-hidden": "true" });
    bar.append(
      drawn("rect", { class: "rail", width: "100%", height: "8", rx: "2" }),
      drawn("rect", { class: "fill", width: `${(100 * value).toFixed(2)}%`, height: "8", rx: "2" }),
    );
    return bar;
  };
  const fill = (parent, made) => parent.replaceChildren(...made);
  const count = (value) => value.toLocaleString("en-US");

  const CHARTS = [
    ["rate", 1, (value) => `${bytes(value)}/s`],
    ["files", 2, (value) => `${value.toFixed(1)} files/s`],
    ["flight", 3, (value) => count(value)],
  ];
  const bytes = (value) => {
    let unit = "B";
    for (const next of ["kB", "MB", "GB", "TB"]) {
      if (value < 999.5) break;
      value /= 1000;
      unit = next;
    }
    return unit === "B" ? `${Math.round(value)} B` : `${value.toFixed(1)} ${unit}`;
  };

  const chart = (name, column, words, points) => {
    const values = points.map((one) => one[column]);
    const top = Math.max(1e-9, ...values);
    const width = 600 / Math.max(1, values.length - 1);
    const line = values.map((one, at) => `${at ? "L" : "M"}${(at * width).toFixed(1)} ${(100 - 96 * one / top).toFixed(1)}`).join("");
    const svg = by(name);
    svg.querySelector(".line").setAttribute("d", line || "M0 100");
    svg.querySelector(".area").setAttribute("d", line ? `${line}L600 100L0 100Z` : "");
    by(`${name}-summary`).textContent = values.length ? `${words(values[values.length - 1])} now, ${words(Math.max(...values))} at most.` : "";
  };

  const headline = (state) => {
    const title = by("headline");
    title.className = state.phase === "ended" ? (state.good ? "good" : "bad") : "";
    const said = state.phase === "ended" ? state.files_text : `${state.phase[0].toUpperCase()}${state.phase.slice(1)}: ${state.files_text} files`;
    if (title.textContent !== said) title.textContent = said;
    const part = state.files[1] ? Math.floor(100 * state.files[0] / state.files[1]) : 0;
    document.title = state.phase === "ended" ? `Ended: ${said}` : `${part} % ${state.phase}`;
  };

  let phase = "";
  const show = (state) => {
    phase = state.phase;
    document.body.classList.remove("gone");
    by("ledger").textContent = state.ledger;
    headline(state);
    by("why").textContent = state.why;
    const total = Math.max(1, state.states.reduce((sum, one) => sum + one[2], 0));
    let x = 0;
    fill(by("states"), state.states.map(([name, , number]) => {
      const width = 100 * number / total;
      const part = drawn("rect", { class: `state-${name}`, x: `${x}%`, width: `${width}%`, height: "10" });
      x += width;
      return part;
    }));
    fill(by("legend"), state.states.map(([name, words, number]) => {
      const item = element("li");
      const dot = drawn("svg", { class: "dot", width: "9", height: "9", "aria-hidden": "true" });
      dot.append(drawn("circle", { class: `state-${name}`, cx: "4.5", cy: "4.5", r: "4.5" }));
      item.append(dot, `${words} `, element("b", "", count(number)));
      return item;
    }));
    fill(by("bars"), [["files", state.files, state.files_text], ["bytes", state.bytes, state.bytes_text]].flatMap(([name, [done, all], words]) =>
      all ? [element("span", "name", name), share(done / all), element("span", "", words)] : []));
    fill(by("numbers"), state.numbers.map(([name, value, note]) => {
      const box = element("div");
      const value_of = element("dd", "", value);
      if (note) value_of.append(element("small", "", note));
      box.append(element("dt", "", name), value_of);
      return box;
    }));
    by("uploads").hidden = !state.uploads.length;
    fill(by("uploads").querySelector("tbody"), state.uploads.map(([path, size, sent, doing, since]) => {
      const row = element("tr");
      const bar = element("td", "cell-share");
      if (sent !== null) bar.append(share(sent));
      const name = element("th", "mono", path);
      name.scope = "row";
      row.append(name, element("td", "number", size), bar, element("td", "", doing), element("td", "number", since));
      return row;
    }));
    by("failures").hidden = !state.failures.length;
    fill(by("failures").querySelector("tbody"), state.failures.map((one) => {
      const row = element("tr");
      const name = element("th", "mono", one.path);
      name.scope = "row";
      row.append(name, element("td", `state tag-${one.state}`, one.state === "failed_local" ? "failed" : one.state.replaceAll("_", " ")), element("td", "", one.reason));
      return row;
    }));
    by("charts").hidden = !state.points.length;
    for (const [name, column, words] of CHARTS) chart(name, column, words, state.points);
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
      const text = answer.ok ? (await answer.json()).changes.join(", ") || "Nothing changed." : await answer.text();
      by("answer").textContent = text.trim();
    } catch {
      by("answer").textContent = "The command that serves this page does not answer.";
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
