// Makes the page alive that the server has rendered, and looks after what is typed until then. It stands behind the page in the source.
//
// What has changed the page before it is alive, an extension or a translator of the browser or a phone that makes links of numbers, would
// have the page's program look for its elements where they are not. Then the page is rendered anew from its data. Where it comes to life
// in neither way it says so.
(() => {
  const { program, binary } = document.currentScript.dataset;
  const app = document.getElementById('app');
  const dead = document.getElementById('dead');
  const text = document.getElementById('text');

  let foreign = false;
  const watch = new MutationObserver(() => (foreign = true));
  watch.observe(app, { childList: true, characterData: true, subtree: true });

  const parsed = new Promise((resolve) => {
    if (document.readyState !== 'loading') resolve();
    else document.addEventListener('DOMContentLoaded', resolve, { once: true });
  });
  const start = async (address, anew) => {
    const [module, code] = await Promise.all([import(address), fetch(binary, { priority: 'low' })]);
    await module.default({ module_or_path: code });
    await parsed;
    // Others have their turn between what is long to do. A page that nobody looks at would have one a second itself.
    const pause = () => new Promise((resolve) => (document.hidden ? resolve() : setTimeout(resolve)));
    await pause();
    module.prepare();
    // One part of the page after the other. Until all are alive something may change one that is not.
    let coming = true;
    while (coming) {
      await pause();
      foreign ||= watch.takeRecords().length > 0;
      coming = anew || foreign ? module.render() : module.hydrate();
    }
    watch.disconnect();
    dead.hidden = true;
  };
  // A program that has failed once is in no state to go on; at another address there is another one.
  start(program, false)
    .catch(() => start(`${program}?anew`, true))
    .catch(() => (dead.hidden = false));

  if (!text) return;
  // What is typed before the page is alive is kept like any draft, and Enter sends it with the form.
  const place = `confab:draft:${text.form.getAttribute('action').split('/')[2]}`;
  const keep = (draft) => {
    try {
      if (draft) sessionStorage.setItem(place, draft);
      else sessionStorage.removeItem(place);
    } catch {
      // Without storage it is as safe as the page.
    }
  };
  const isAlive = () => app.querySelector('.room.alive') !== null;
  text.addEventListener('input', () => isAlive() || keep(text.value));
  text.form.addEventListener('submit', () => isAlive() || keep(''));
  text.addEventListener('keydown', (event) => {
    const other = event.key !== 'Enter' || event.shiftKey || event.altKey || event.isComposing || event.keyCode === 229;
    if (other || isAlive() || matchMedia('(hover: none) and (pointer: coarse)').matches) return;
    event.preventDefault();
    if (text.value.trim() && !event.repeat) text.form.requestSubmit();
  });
  try {
    text.value ||= sessionStorage.getItem(place) ?? '';
  } catch {
    // There is none.
  }
})();
