"""The project's own benchmarks, in the order of their page."""

from __future__ import annotations

from ace.bench.registry import ONCE, Benchmark

PROJECT_BENCHMARKS: tuple[Benchmark, ...] = (
    Benchmark(
        "replay",
        "The same calls by another shape",
        "benchmarks.replay:measure_replay",
        {"shape": "0.36b", "samples": 50, "repetitions": 1},
        {"shape": "micro", "samples": 4},
        "shape",
    ),
    Benchmark(
        "reflect",
        "Reflection alone",
        "benchmarks.reflection:measure_reflect",
        {"shape": "micro", "samples": 16, "repetitions": 3},
        {"samples": 4, **ONCE},
        "shape",
    ),
    Benchmark(
        "batch",
        "Batch sizes",
        "benchmarks.engine_load.batch_sizes:measure_batches",
        {"samples": 64, "epochs": 1, "repetitions": 5},
        {"samples": 8, **ONCE},
    ),
    Benchmark(
        "concurrency",
        "Many requests at once",
        "benchmarks.engine_load.concurrency:measure_concurrency",
        {"shape": "0.36b", "requests": (1, 4, 16, 64, 256), "tokens": 64, "repetitions": 3},
        {"shape": "micro", "requests": (1, 4), "tokens": 4, "repetitions": 1},
        "shape",
    ),
    Benchmark(
        "prefix",
        "Layouts of the prompt",
        "benchmarks.prefix_layouts:measure_prefix",
        {"samples": 200, "top": 16, "tokens": 16, "repetitions": 3},
        {"samples": 32, **ONCE},
    ),
    Benchmark(
        "saturation",
        "How full a run keeps the engine",
        "benchmarks.engine_load.saturation:measure_saturation",
        {"samples": 50, "batch": 16, "repetitions": 3},
        {"samples": 6, **ONCE},
    ),
    Benchmark("overhead", "ace's own work", "benchmarks.playbook_overhead:measure_overhead", {"repetitions": 5}, ONCE),
    Benchmark(
        "credit",
        "Credit ranking",
        "benchmarks.attribution_ranking:measure_credit_ranking",
        {"trials": 40, "planted": 2},
        {"trials": 2},
    ),
    Benchmark(
        "pages",
        "Pages of the dashboard",
        "benchmarks.dashboard_pages:measure_pages",
        {"runs": 1_000, "bullets": 2_000, "repetitions": 5},
        {"runs": 5, "bullets": 20, "repetitions": 1},
    ),
    Benchmark(
        "plan",
        "What `ace plan` expects, and what comes",
        "benchmarks.scale.plan_accuracy:measure_plan",
        {"repetitions": 3},
        ONCE,
    ),
    Benchmark(
        "serve",
        "`ace serve` under load",
        "benchmarks.scale.serve_load:measure_serve",
        {"clients": 200, "seconds": 60.0},
        {"clients": 10, "seconds": 8.0},
    ),
    Benchmark("soak", "A long run", "benchmarks.soak:measure_soak", {"samples": 10_000}, {"samples": 1_000}),
)
