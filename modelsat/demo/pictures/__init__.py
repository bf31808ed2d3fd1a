"""Questions about drawn pictures: ten tasks of one more family, and unlimited questions of each."""

from modelsat.demo.pictures.generator import (
    PictureQuestion,
    draw_picture_questions,
    generate_picture_questions,
)
from modelsat.demo.pictures.tasks import FAMILY, PICTURE_TASKS

__all__ = [
    "FAMILY",
    "PICTURE_TASKS",
    "PictureQuestion",
    "draw_picture_questions",
    "generate_picture_questions",
]
