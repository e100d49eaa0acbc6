"use strict";
function drawReport() {
  const source = document.getElementById("charts");
  const runs = source ? JSON.parse(source.textContent) : [];
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(name).trim();
  const drawn = [];

  const axis = (label) => ({ label, stroke: color("--ink"), grid: { stroke: color("--line"), width: 1 }, ticks: { stroke: color("--line"), width: 1 } });
  const whole = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000];

  function draw(id, data, series, options = {}) {
    const element = document.getElementById(id);
    if (!element || data[0].length === 0) return;
    const plot = new uPlot({
      width: element.clientWidth || 320, height: 260,
      scales: { x: { time: false }, ...(options.scales || {}) },
      series: [{ label: "batch" }, ...series],
      bands: options.bands || [],
      axes: [{ ...axis("batch"), incrs: whole }, { ...axis(options.axis || ""), size: 60 }],
      cursor: { drag: { x: true, y: false } },
    }, data, element);
    drawn.push([element, plot]);
  }

  runs.forEach((run, number) => {
    const points = run.accuracy.evaluations;
    const batches = [...new Set([...points, ...run.accuracy.batches].map((p) => p.batch))].sort((a, b) => a - b);
    const at = (list, key) => batches.map((batch) => { const one = list.findLast((p) => p.batch === batch); return one ? one[key] : null; });
    const value = (plot, number) => number === null || number === undefined ? "–" : number.toFixed(1);
    const data = [batches], series = [], bands = [];
    [...new Set(points.map((p) => p.split))].forEach((split, index) => {
      const own = points.filter((p) => p.split === split);
      const stroke = color(["--accent", "--third", "--second"][index % 3]);
      const bound = (side) => ({ label: `${split}, 95% ${side}`, class: "bound", stroke: "transparent", spanGaps: true, points: { show: false }, value });
      data.push(at(own, "high"), at(own, "low"), at(own, "percent"));
      series.push(bound("high"), bound("low"), { label: split, stroke, width: 2, spanGaps: true, points: { show: true, size: 8 }, value });
      bands.push({ series: [data.length - 3, data.length - 2], fill: stroke + "26" });
    });
    data.push(at(run.accuracy.batches, "percent"));
    series.push({ label: "first answers in the batch", stroke: color("--muted"), dash: [4, 4], spanGaps: true, value });
    draw(`accuracy-${number}`, data, series, { axis: "accuracy, %", scales: { y: { range: [0, 102] } }, bands });
    draw(`growth-${number}`, [run.growth.batch, run.growth.bullets], [{ label: "bullets", stroke: color("--accent"), width: 2 }], { axis: "bullets" });
    draw(`cache-${number}`, [run.cache.batch, run.cache.share], [{ label: "prefix cache hits", stroke: color("--third"), width: 2, value }],
      { axis: "prompt tokens cached, %", scales: { y: { range: [0, 102] } } });
    timeline(document.getElementById(`timeline-${number}`), run.timeline);
  });

  function timeline(element, phases) {
    const end = Math.max(0, ...phases.map((phase) => phase.end));
    if (!element || end === 0) return;
    for (const phase of phases) {
      const bar = document.createElement("span");
      bar.className = phase.kind;
      bar.style.left = `${100 * phase.begin / end}%`;
      bar.style.width = `${100 * (phase.end - phase.begin) / end}%`;
      bar.title = `${phase.name}: ${phase.begin.toFixed(1)} to ${phase.end.toFixed(1)} s`;
      element.append(bar);
    }
    const scale = document.createElement("span");
    scale.className = "scale";
    scale.textContent = `0 to ${end.toFixed(1)} s: batches above, evaluations below`;
    element.append(scale);
  }

  window.onresize = () => {
    for (const [element, plot] of drawn) plot.setSize({ width: element.clientWidth || 320, height: 260 });
  };

  for (const table of document.querySelectorAll("table.sortable")) {
    const body = table.tBodies[0];
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const descending = head.getAttribute("aria-sort") === "ascending";
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", descending ? "descending" : "ascending");
        const order = new Intl.Collator(undefined, { numeric: true });
        const rows = [...body.rows].sort((a, b) => order.compare(a.cells[column].textContent, b.cells[column].textContent));
        body.append(...(descending ? rows.reverse() : rows));
      });
    });
  }

  for (const input of document.querySelectorAll("input[data-filter]")) {
    const rows = [...document.getElementById(input.dataset.filter).tBodies[0].rows];
    input.addEventListener("input", () => {
      const wanted = input.value.toLowerCase();
      for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
    });
  }
}
drawReport();
