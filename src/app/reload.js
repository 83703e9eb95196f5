// While Confab is worked on: loads the page again as soon as the server, or what its pages load, is another one.
(() => {
  const state = async () => {
    const answer = await fetch('/pkg/dev/state');
    return answer.ok ? answer.text() : undefined;
  };
  let known;
  const look = async () => {
    try {
      const now = await state();
      known ??= now;
      if (now && now !== known) location.reload();
    } catch {
      // The server is being replaced.
    }
    setTimeout(look, 300);
  };
  look();
})();
