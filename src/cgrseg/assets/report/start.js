// The parts of the page, in their order.

showHeadline();
showComparison();
showClasses();
showImages();
showConfusion();
showConfidence();
showTraining();

document.getElementById("top").append(make("nav", { "aria-label": "Parts of this page" },
  [...document.querySelectorAll("main section")].map((part) => make("a", { href: `#${part.id}` }, part.querySelector("h2").textContent))));
document.getElementById("end").append(make("p", {}, "The same numbers as ",
  make("a", { href: encodeURIComponent(content.files.json) }, content.files.json), " and, one row a class, as ",
  make("a", { href: encodeURIComponent(content.files.csv) }, content.files.csv), `. Written by cgrseg ${content.conditions.machine.versions.cgrseg}.`));
document.documentElement.dataset.ready = "";
