"use strict";
// A run that goes on: its page is fetched anew whenever the store has something new. What was typed and opened stays.
(() => {
  const main = document.querySelector("main[data-changes]");
  if (!main) return;
  const events = new EventSource(main.dataset.changes);
  events.addEventListener("change", async () => {
    const response = await fetch(location.href);
    if (!response.ok) return;
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const typed = [...main.querySelectorAll("input[data-filter]")].map((input) => [input.dataset.filter, input.value]);
    const focused = document.activeElement && document.activeElement.dataset ? document.activeElement.dataset.filter : null;
    main.replaceChildren(...page.querySelector("main").childNodes);
    document.getElementById("charts").replaceWith(page.getElementById("charts"));
    drawReport();
    for (const [filter, value] of typed) {
      const input = main.querySelector(`input[data-filter="${filter}"]`);
      if (!input || (!value && filter !== focused)) continue;
      input.value = value;
      input.dispatchEvent(new Event("input"));
      if (filter === focused) input.focus();
    }
    if (!page.querySelector("main").dataset.changes) events.close();
  });
})();
