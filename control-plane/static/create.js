// The form that designs an API: shows the address that clients will use while one types, and offers to publish at once
// when an endpoint and a plan are given. The server checks all of it anyway.

const form = document.querySelector('[data-create]');
const output = form.querySelector('output');
const shown = output.querySelector('code');
const publish = form.querySelector('[name="publish"]');
const value = (name) => form.elements[name].value.trim();

function address() {
  const version = value('version') || '<version>';
  let context = value('context').replace(/^\/+|\/+$/g, '') || '<context>';
  if (context.split('/').includes('{version}')) {
    context = context.replace('{version}', version);
  } else {
    context = `${context}/${version}`;
  }
  return `${output.dataset.gateway}/${context}`;
}

function refresh() {
  shown.textContent = address();
  if (publish) {
    const plans = form.querySelectorAll('[name="plans"]:checked').length;
    publish.disabled = plans === 0 || !/^wss?:\/\/./.test(value('endpoint'));
  }
}

form.addEventListener('input', refresh);
// What a browser fills in after a reload comes without an event.
addEventListener('pageshow', refresh);
refresh();
