// What scripts add to every page. Nothing here is needed: without it the pages work the same.

// A menu closes when one presses Escape or goes elsewhere.
const menus = () => document.querySelectorAll('details[data-menu][open]');
document.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape') return;
  for (const menu of menus()) {
    menu.open = false;
    menu.querySelector('summary').focus();
  }
});
for (const kind of ['click', 'focusin']) {
  document.addEventListener(kind, (event) => {
    for (const menu of menus()) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });
}

// Where one is stands in sight, where tabs or a side navigation are a row that scrolls.
function orient() {
  for (const here of document.querySelectorAll('.tabs [aria-current], .side [aria-current]')) {
    const row = here.closest('ul');
    row.scrollLeft = here.offsetLeft - row.offsetLeft - (row.clientWidth - here.offsetWidth) / 2;
  }
}
orient();
// Telephones are turned, and windows made narrow.
addEventListener('resize', orient);

// A form that was refused says so to those who do not see it.
document.querySelector('[data-focus]')?.focus();

// A form is sent once. The button keeps its name and value, so it is not disabled before the form is read.
document.addEventListener('submit', (event) => {
  const form = event.target;
  if (form.method !== 'post') return;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = 'yes';
  event.submitter?.setAttribute('aria-busy', 'true');
});
// A page that comes back from the browser's memory can be sent again.
addEventListener('pageshow', () => {
  for (const form of document.querySelectorAll('form[data-sent]')) {
    delete form.dataset.sent;
    form.querySelector('[aria-busy]')?.removeAttribute('aria-busy');
  }
});

// Copy buttons, where the browser can copy.
if (navigator.clipboard) {
  for (const button of document.querySelectorAll('[data-copy]')) button.hidden = false;
  document.addEventListener('click', async (event) => {
    const button = event.target.closest('[data-copy]');
    if (!button) return;
    const label = button.textContent;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = 'Copied';
    } catch {
      button.textContent = 'Cannot copy';
    }
    setTimeout(() => { button.textContent = label; }, 1500);
  });
}
