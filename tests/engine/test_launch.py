"""The end of a distributed run."""

import weakref

from torch import distributed, nn

from greenmim_mm.engine.launch import run_or_explain


def test_nothing_holds_the_process_group_at_the_end(tmp_path):
    """Else gloo's threads, still busy when the interpreter ends, can abort the process."""
    models = []

    def main():
        store = distributed.FileStore(str(tmp_path / 'store'), 1)
        distributed.init_process_group('gloo', store=store, rank=0, world_size=1)
        model = nn.parallel.DistributedDataParallel(nn.Linear(2, 2))
        model.runner = [model]  # a cycle, as a runner makes many
        models.append(weakref.ref(model))

    run_or_explain(main)
    assert models[0]() is None
    assert not distributed.is_initialized()
