"""The process that takes a sample of one object: `python -m app.workers.sampling_child MEMORY_BYTES CPU_S`.

As app.workers.rendering_child it meets content that may be hostile, so it holds nothing, has bounds, and answers in
JSON. It reads the job, then the content, from its input, answers, and ends.
"""

import pickle
import resource
import sys

from app.objects.refusal import ContentRefused
from app.objects.sampling import sampled, written

REFUSED = b"refused "
_OPEN_FILES = 64


def main(memory_bytes: int, cpu_s: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    job = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the parent
    try:
        answer = written(sampled(job, sys.stdin.buffer.read()))
    except ContentRefused as refused:
        answer = REFUSED + refused.code.value.encode()
    sys.stdout.buffer.write(answer)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
