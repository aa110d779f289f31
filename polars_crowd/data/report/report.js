"use strict";
for (const box of document.querySelectorAll("[data-spec]")) {
  const spec = JSON.parse(document.getElementById(box.dataset.spec).textContent);
  const refuse = () => Promise.reject(new Error("this page loads nothing"));
  vegaEmbed(box, spec, {
    ast: true,
    actions: false,
    defaultStyle: false,
    tooltip: false,
    logLevel: 1,
    renderer: "svg",
    loader: { load: refuse, sanitize: refuse, http: refuse, file: refuse },
  }).then(
    () => { box.dataset.drawn = "yes"; },
    (error) => { box.textContent = "This chart could not be drawn."; console.error(error); }
  );
}
