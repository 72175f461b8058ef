// Monaco starts its workers from our own files, whose names the page has in its head.
globalThis.MonacoEnvironment = {
  getWorker(_id, label) {
    const link = document.getElementById(`${label}-worker`) ?? document.getElementById("editor-worker");
    return new Worker(link.href, { type: "module", name: label });
  },
};
