"use strict";
// A run that goes on: its page is fetched anew whenever the store has something new.
(() => {
  const main = document.querySelector("main[data-changes]");
  if (!main) return;
  const events = new EventSource(main.dataset.changes);
  events.addEventListener("change", async () => {
    const response = await fetch(location.href);
    if (!response.ok) return;
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    main.replaceChildren(...page.querySelector("main").childNodes);
    document.getElementById("charts").replaceWith(page.getElementById("charts"));
    drawReport();
  });
})();
