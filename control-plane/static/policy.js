// Forms of limits and conditions: fields that say nothing beside another one are put away. Without this they stay, and
// the control plane says what contradicts what.

for (const limits of document.querySelectorAll('[data-limits]')) {
  const unlimited = limits.querySelector('input[name$=".unlimited"]');
  const fold = () => {
    for (const part of limits.querySelectorAll('[data-limit]')) {
      part.hidden = unlimited.checked;
      // What is put away is not sent, so that it contradicts nothing.
      for (const input of part.querySelectorAll('input, select')) input.disabled = unlimited.checked;
    }
  };
  unlimited.addEventListener('change', fold);
  // What somebody typed beside it, and was refused for, is left in sight.
  if (!limits.querySelector('.fault')) fold();
}

for (const condition of document.querySelectorAll('[data-condition]')) {
  const kind = condition.querySelector('select');
  const name = condition.querySelector('[data-name]');
  const fold = () => {
    // Its place stays, so that values stand below one another.
    name.classList.toggle('away', kind.value === 'address');
    name.querySelector('input').disabled = kind.value === 'address';
  };
  kind.addEventListener('change', fold);
  fold();
}
