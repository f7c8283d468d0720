"""Generate any number of images, in batches as large as the backend takes."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence

from PIL import Image

from riffusion_ext.generate.backends.base import Backend, Request, accepts_mixed

__all__ = ["generate_batches", "generate_images", "leading_images"]


def generate_images(
    requests: Sequence[Request], backend: Backend, *, on_image: Callable[[int], object] = lambda done: None
) -> list[Image.Image]:
    """Generate images, in batches as large as the backend takes where requests allow it.

    Parameters
    ----------
    requests
        Requests with any mix of batch keys.
    backend
        Backend that generates the images.
    on_image
        Called with the number of finished images, after each.

    Returns
    -------
    list
        Images in the order of the requests; after an interruption, those before the first missing one.
    """
    images: dict[int, Image.Image] = {}
    for _ in generate_batches(requests, backend, images, on_image=on_image):
        pass
    return leading_images(images)


def generate_batches(
    requests: Sequence[Request],
    backend: Backend,
    images: dict[int, Image.Image],
    *,
    on_image: Callable[[int], object] = lambda done: None,
) -> Iterator[int]:
    """Generate images batch by batch, until the backend is interrupted.

    Parameters
    ----------
    requests, backend, on_image
        See :func:`generate_images`.
    images
        Takes the images, by the number of their request, as soon as each is finished.

    Yields
    ------
    int
        How many images are finished, after each batch.
    """
    for batch in _batches(requests, max(1, backend.max_batch), mixed=accepts_mixed(backend)):

        def keep(index: int, image: Image.Image, batch: list[int] = batch) -> None:
            images[batch[index]] = image
            on_image(len(images))

        backend.generate([requests[number] for number in batch], keep)
        yield len(images)
        if backend.interrupted:
            return


def leading_images(images: dict[int, Image.Image]) -> list[Image.Image]:
    """Return the images numbered 0, 1, 2, ... up to the first that is missing."""
    count = 0
    while count in images:
        count += 1
    return [images[number] for number in range(count)]


def _batches(requests: Sequence[Request], max_items: int, *, mixed: bool) -> Iterator[list[int]]:
    """Put neighbours that can be generated together into batches."""
    batch: list[int] = []
    batch_key: Hashable = None
    for number, request in enumerate(requests):
        if batch and (len(batch) == max_items or not (mixed or request.batch_key == batch_key)):
            yield batch
            batch = []
        batch.append(number)
        batch_key = request.batch_key
    if batch:
        yield batch
