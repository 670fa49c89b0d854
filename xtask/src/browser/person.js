// What a person sees of a page, by names and labels. Evaluated in the page before each question; gives an object of
// functions. Nothing of it stays in the page but the mark by which a new page is told from the one before.
(() => {
  const tidy = (text) => (text ?? '').replace(/\s+/g, ' ').trim();
  const isShown = (element) => element.checkVisibility({ visibilityProperty: true });
  const areas = 'tr, li, section, article, fieldset, form, dialog, details, .card';

  // The part of the page that is looked at: the smallest area with these words in which something is found.
  const within = (words, find) => {
    if (!words) {
      const main = document.querySelector('main');
      const found = main ? find(main) : [];
      return found.length ? found : find(document);
    }
    const fitting = [...document.querySelectorAll(areas)]
      .filter((area) => isShown(area) && tidy(area.innerText).includes(words))
      .map((area) => [area, find(area)])
      .filter(([, found]) => found.length);
    const smallest = fitting.filter(([area]) => !fitting.some(([other]) => other !== area && area.contains(other)));
    return smallest.flatMap(([, found]) => found);
  };

  const namesOf = (element) => {
    const label = element.getAttribute('aria-label');
    if (label) return [label, tidy(element.innerText)];
    if (element instanceof HTMLInputElement) return [element.value];
    const said = [...element.childNodes].filter((node) => node.ariaHidden !== 'true').map((node) => node.innerText ?? node.textContent);
    const names = [tidy(said.join(' ')), tidy(element.innerText.split('\n')[0])];
    const strong = element.querySelector('strong');
    if (strong) names.push(tidy(strong.innerText));
    return names;
  };
  const pressable = (name, near) => within(near, (area) =>
    [...area.querySelectorAll('a[href], button, summary, input[type=submit], [role=button], [role=tab]')]
      .filter((element) => isShown(element) && namesOf(element).includes(name)));

  const labelsOf = (label) => {
    const copy = label.cloneNode(true);
    for (const part of copy.querySelectorAll('.optional, input, select, textarea, .hint, .fault')) part.remove();
    return [tidy(copy.textContent), tidy(copy.querySelector('strong')?.textContent)];
  };
  const fields = (name, near) => within(near, (area) => {
    const found = [...area.querySelectorAll('label')]
      .filter((label) => isShown(label) && labelsOf(label).includes(name) && label.control)
      .map((label) => label.control);
    const named = [...area.querySelectorAll('input[aria-label], textarea[aria-label], select[aria-label]')]
      .filter((field) => isShown(field) && field.getAttribute('aria-label') === name);
    return [...new Set([...found, ...named])];
  });

  // One of what was found. Links to one place are one; of anything else, two are one too many.
  const one = (found, name) => {
    const places = new Set(found.map((element) => element.href || element));
    if (places.size > 1) throw new Error(`"${name}" is there ${places.size} times: say near what`);
    return found[0] ?? null;
  };
  const pick = (kind, name, near) => one(kind === 'field' ? fields(name, near) : pressable(name, near), name);

  return {
    // Tells the page that is left from the one that comes.
    mark: (mark) => { window.tidegateMark = mark; },
    isAnother: (mark) => window.tidegateMark !== mark && document.readyState === 'complete',

    url: () => location.href,
    title: () => document.title,
    text: () => tidy(document.body?.innerText),
    has: (words) => tidy(document.body?.innerText).includes(words),
    heading: () => tidy(document.querySelector('h1')?.innerText),
    count: (kind, name, near) => (kind === 'field' ? fields(name, near) : pressable(name, near)).length,
    // What one may press in the page or in its frame.
    pressables: () => [...document.querySelectorAll('a[href], button, summary')].filter(isShown).map((e) => namesOf(e)[0]),
    isEnabled: (name, near) => {
      const element = pick('button', name, near);
      return element ? !element.disabled && element.getAttribute('aria-disabled') !== 'true' : null;
    },
    // How far it can be moved sideways, in pixels.
    overflow: () => document.documentElement.scrollWidth - document.documentElement.clientWidth,

    // Where to press, once nothing is in front of it.
    point: (kind, name, near) => {
      let element = pick(kind, name, near);
      if (!element) return null;
      // A box that is drawn by its label is pressed there.
      if (kind === 'field' && element.matches('[type=checkbox], [type=radio]') && element.closest('label')) {
        element = element.closest('label');
      }
      element.scrollIntoView({ block: 'center', inline: 'center', behavior: 'instant' });
      const box = element.getClientRects()[0];
      if (!box) return null;
      const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
      const top = document.elementFromPoint(x, y);
      return top && (element.contains(top) || top.contains(element)) ? { x, y } : null;
    },
    // Makes a field ready to be typed into, in place of what is in it.
    enter: (name, near) => {
      const field = pick('field', name, near);
      if (!field || field.disabled) return null;
      field.focus();
      field.select?.();
      return document.activeElement === field;
    },
    choose: (name, option, near) => {
      const field = pick('field', name, near);
      const chosen = field && [...field.options].find((each) => tidy(each.text) === option || /^[ :,]/.test(tidy(each.text).slice(option.length)) && tidy(each.text).startsWith(option));
      if (!chosen) return null;
      field.value = chosen.value;
      field.dispatchEvent(new Event('input', { bubbles: true }));
      field.dispatchEvent(new Event('change', { bubbles: true }));
      return true;
    },
    field: (name) => pick('field', name),
    value: (name, near) => pick('field', name, near)?.value ?? null,
    isTicked: (name, near) => pick('field', name, near)?.checked ?? null,
    // What is said to be wrong with a field, where those are told who do not see it.
    fault: (name, near) => {
      const field = one(fields(name, near), name)
        ?? [...document.querySelectorAll('fieldset')].find((set) => tidy(set.querySelector('legend')?.innerText).startsWith(name));
      if (!field) return null;
      const told = (field.getAttribute('aria-describedby') ?? '').split(' ')
        .map((id) => document.getElementById(id)).filter((element) => element?.classList.contains('fault'));
      return told.map((element) => tidy(element.innerText)).join(' ');
    },
  };
})()
