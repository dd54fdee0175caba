"""Where OpenVINO spends its time on an exported network, by kind of operation.

    OMP_NUM_THREADS=1 python benchmarks/operations.py FILE.onnx|FILE.xml [--precision f32|bf16] [--size 512x512]

One thread, noise, after warm-up; the sum is more than a pass takes without being watched.
"""

import argparse
import collections
import statistics
import time
from pathlib import Path

import numpy as np
import openvino

PASSES = 7


def main() -> None:
    """Run the file and print its kinds of operations, the longest first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--size", default="512x512")
    options = parser.parse_args()
    height, width = map(int, options.size.split("x"))
    settings = {"INFERENCE_NUM_THREADS": "1", "INFERENCE_PRECISION_HINT": options.precision, "PERF_COUNT": "YES"}
    request = openvino.Core().compile_model(options.file, "CPU", settings).create_infer_request()
    images = np.random.default_rng(0).standard_normal((1, 3, height, width)).astype(np.float32)
    spent, kinds = [], collections.Counter()
    for number in range(-3, PASSES):
        start = time.perf_counter()
        request.infer({0: images})
        if number >= 0:
            spent.append(1000 * (time.perf_counter() - start))
            for node in request.get_profiling_info():
                kinds[node.node_type, node.exec_type] += 1000 * node.real_time.total_seconds() / PASSES
    total = sum(kinds.values())
    print(f"{options.file.name}, {options.size}, {options.precision}: {statistics.median(spent):.0f} ms a pass")
    for (kind, way), milliseconds in kinds.most_common(12):
        print(f"{milliseconds:8.1f} ms {100 * milliseconds / total:5.1f} %  {kind} ({way})")


if __name__ == "__main__":
    main()
