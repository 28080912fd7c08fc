"""The commands by name, with what their help says. The module of a command is imported when it is used, so that help
comes at once.
"""

from __future__ import annotations

from typing import NamedTuple

from cyclopts import App, Parameter

from .. import __version__


class _Command(NamedTuple):
    """One command: where its function is, and its help. `more` stands below the options."""

    target: str  # "module:function", in this package
    usage: str
    summary: str
    more: str


_EXIT_CODES = """\
Exit codes
  0  done                                 7  training stopped: not finite
  1  failed                              73  another process uses the run
  2  a setting cannot be used            74  the disk refused
  3  an optional package is missing     130  stopped by Ctrl-C
  4  the data cannot be used            143  stopped by SIGTERM
  5  the model cannot be used                (a run is saved first)
  6  worse than a threshold               8  unlike numbers compared

Start here:  limner train vae builtin:openmoji --budget 5m
"""

_COMMANDS = {
    "train": _Command(
        "train:train",
        "limner train MODEL DATA [OPTIONS] | limner train --resume RUN [OPTIONS]",
        "Train a model on images, or go on with a run.",
        """\
A setting comes from its flag, else from --set, else from the --config file,
else it is the default. --set reaches them all: `limner models MODEL`.

Examples
  limner train vae builtin:openmoji --budget 5m
  limner train gan photos --resolution 64 --set width=48 --flip
  limner train --resume runs/gan-photos-1 --budget 2h
""",
    ),
    "sample": _Command(
        "sample:sample",
        "limner sample RUN [OPTIONS]",
        "Make pictures with a trained model.",
        """\
Each picture carries its seed, its settings and the model's hash as PNG text.
Without --out and --grid they go to samples/RUN-1, -2, … with a grid beside it.

Examples
  limner sample runs/gan-photos-1 -n 64 --grid grid.png
  limner sample runs/gan-photos-1 --label cat --set truncation=1.5
  limner sample runs/gan-photos-1 --from samples/gan-photos-1-1/000007.png
  limner sample runs/edm-1 --guide runs/edm-1/checkpoints/500 --set guidance=2
""",
    ),
    "reconstruct": _Command(
        "latent:reconstruct",
        "limner reconstruct RUN IMAGES… [OPTIONS]",
        "Show what a model keeps of images.",
        """\
The images are encoded and decoded again. In the grid each row of them has its
reconstructions below it.

Example
  limner reconstruct runs/vae-photos-1 photos -n 32
""",
    ),
    "edit": _Command(
        "edit:edit",
        "limner edit IMAGES… --model RUN [OPTIONS]",
        "Make variations of images, with a diffusion or flow model.",
        """\
In the grid each row of images has its variations below it. Give an image
several times for several variations, or another --seed for others.

Examples
  limner edit cat.png --model runs/flow-photos-1 --strength 0.4
  limner edit cat.png --model runs/flow-photos-1 --label dog
""",
    ),
    "inpaint": _Command(
        "edit:inpaint",
        "limner inpaint IMAGES… --mask MASKS… --model RUN [OPTIONS]",
        "Fill holes in images.",
        """\
A mask is an image: white is the hole, black stays as it is, to the last bit.
One mask does for all images, or give one for each.

Example
  limner inpaint cat.png --mask ear.png --model runs/flow-photos-1
""",
    ),
    "complete": _Command(
        "edit:complete",
        "limner complete IMAGES… --model RUN [OPTIONS]",
        "Go on from the upper part of images, with a model of pixels or tokens.",
        """\
Rows that are kept stay as they are. Another --seed goes on another way.

Example
  limner complete digits --model runs/binary-pixelcnn-mnist-1 --rows 14
""",
    ),
    "compose": _Command(
        "compose:compose",
        "limner compose LAYOUT|IMAGES… [OPTIONS]",
        "Make one picture of several.",
        """\
Images alone become a storyboard. Two and a mask are joined. A layout says it
all: layers with masks and boxes from the bottom to the top.

Examples
  limner compose beach.jpg cat.png --mask cat-mask.png --how poisson
  limner compose left.jpg middle.jpg right.jpg --panorama
  limner compose wall.jpg --seamless
  limner compose layout.toml --out scene.png
""",
    ),
    "stylize": _Command(
        "stylize:stylize",
        "limner stylize IMAGES… --style PICTURE… | --model RUN [OPTIONS]",
        "Draw pictures in the manner of others.",
        """\
Without a model each picture is moved step by step. A model learns one manner
and draws it at once: limner train stylenet PHOTOS --set style=PICTURE

Examples
  limner stylize me.jpg --style mosaic.jpg --strength 0.5
  limner stylize me.jpg --style mosaic.jpg candy.jpg --weights 2 1 --keep-colour
  limner stylize photos --model runs/stylenet-photos-1
""",
    ),
    "translate": _Command(
        "translate:translate",
        "limner translate IMAGES… --model RUN [OPTIONS]",
        "Turn pictures of one kind into another.",
        """\
From pairs:    limner train pix2pix PICTURES --degrade edges
Without them:  limner train cyclegan HORSES --sources ZEBRAS --set paired=false
Attributes:    limner train stargan FACES

Examples
  limner translate drawing.png --model runs/pix2pix-pictures-1
  limner translate photos --model runs/pix2pix-pictures-1 --degrade
  limner translate me.png --model runs/stargan-faces-1 --attribute smiling=yes
""",
    ),
    "degrade": _Command(
        "degrade:degrade",
        "limner degrade IMAGES… --with CHAIN [OPTIONS]",
        "Make good pictures worse, exactly and by a seed.",
        """\
What restorers are trained on and judged by. a,b is first a, then b; a|b one of
them; a? perhaps a; a range draws a number for each picture.
Steps: down, noise, gray, blur, motion, defocus, poisson, camera, jpeg, mask,
fade, scratch, edges, and old for a whole chain.

Example
  limner degrade photos --with blur:1-3,noise:5,jpeg:40-80
""",
    ),
    "upscale": _Command(
        "restore:upscale",
        "limner upscale IMAGES… --model RUN [OPTIONS]",
        "Enlarge pictures of any size.",
        """\
Train a model first: limner train srnet PHOTOS --degrade down:2
Pictures are taken in tiles, without seams and in bounded memory.

Example
  limner upscale photo.jpg --model runs/srnet-photos-1 --ensemble
""",
    ),
    "denoise": _Command(
        "restore:denoise",
        "limner denoise IMAGES… --model RUN [OPTIONS]",
        "Remove noise from pictures of any size.",
        """\
Train a model first: limner train denoiser PHOTOS
How strong the noise is, is estimated, or said with --level.

Example
  limner denoise night.jpg --model runs/denoiser-photos-1 --level 25
""",
    ),
    "deblur": _Command(
        "restore:deblur",
        "limner deblur IMAGES… --model RUN [OPTIONS]",
        "Sharpen blurred pictures of any size.",
        """\
Train a model first: limner train nafnet PHOTOS --degrade blur:1-3,noise:2
""",
    ),
    "colorize": _Command(
        "restore:colorize",
        "limner colorize IMAGES… --model RUN [OPTIONS]",
        "Give gray pictures colours.",
        """\
Train a model first: limner train nafnet PHOTOS --degrade gray
""",
    ),
    "restore": _Command(
        "restore:restore",
        "limner restore IMAGES… --model RUN [OPTIONS]",
        "Repair pictures as a model was trained to.",
        """\
What a model repairs is what it was trained on, as --degrade said.

Example
  limner train nafnet PHOTOS --degrade old
  limner restore scans --model runs/nafnet-photos-1
  limner restore small.png --model runs/flow-photos-1 --as upscale:2
""",
    ),
    "compress": _Command(
        "compress:compress",
        "limner compress IMAGES… --model RUN [OPTIONS]",
        "Write pictures as small files, by a model.",
        """\
Says what each costs, and what JPEG and WebP of as many bytes look like.
Train a model first: limner train codec PHOTOS --set quality=0.03

Example
  limner compress photo.png --model runs/codec-photos-1
""",
    ),
    "decompress": _Command(
        "compress:decompress",
        "limner decompress FILES… --model RUN [OPTIONS]",
        "Make pictures of compressed files again.",
        "",
    ),
    "interpolate": _Command(
        "latent:interpolate",
        "limner interpolate RUN [OPTIONS]",
        "Walk through the latent space from one picture to the next.",
        """\
Examples
  limner interpolate runs/gan-photos-1 -n 4 --steps 9 --grid walk.png
  limner interpolate runs/vae-photos-1 --images a.png b.png
""",
    ),
    "traverse": _Command(
        "latent:traverse",
        "limner traverse RUN [OPTIONS]",
        "Move along single dimensions of the latent space.",
        """\
Example
  limner traverse runs/vae-photos-1 --dimensions 0-4,7 --limit 2.5
""",
    ),
    "evaluate": _Command(
        "evaluate:evaluate",
        "limner evaluate RUN|FOLDER [DATA] [OPTIONS]",
        "Say how good a model, or any folder of images, is.",
        """\
Each number comes with its protocol, its interval, and what real images, noise
and the like score under the same protocol. report.html shows them all.

Examples
  limner evaluate runs/gan-photos-1
  limner evaluate other-generator/samples photos --metrics fd,kid -n 5000
  limner evaluate restored originals --metrics psnr,ssim --set preset=sr-x2
  limner evaluate runs/srnet-photos-1 photos --set degrade=down:2
""",
    ),
    "compare": _Command(
        "evaluate:compare",
        "limner compare A B… --against DATA [OPTIONS]",
        "Judge several alike, and say which differences are real.",
        """\
Numbers that were measured differently are refused with exit code 8.

Example
  limner compare runs/vae-photos-1 runs/gan-photos-1 --against photos
""",
    ),
    "leaderboard": _Command(
        "evaluate:leaderboard",
        "limner leaderboard DATA [OPTIONS]",
        "Train several families for the same time, and rank them.",
        """\
Example
  limner leaderboard photos --models vae,gan,latent-flow --budget 10m
""",
    ),
    "advise": _Command(
        "advise:advise",
        "limner advise DATA [OPTIONS]",
        "Say which model to train on these images in the time there is.",
        """\
The models that suit the images are each trained for seconds, so that time,
memory and disk are measured on this machine; a trial counts for a day.

Examples
  limner advise photos --budget 30m
  limner advise photos --budget 2h --resolution 64 --models gan,latent-flow
""",
    ),
    "import": _Command(
        "exchange:bring",
        "limner import SOURCE [OPTIONS]",
        "Turn a pretrained diffusers model into a model folder.",
        """\
SOURCE is a folder in diffusers format, or an id on the hub. Weights are read
from safetensors alone, and none of its code is run. Fine-tuning starts from
SOURCE itself: limner train diffusers DATA --set source=SOURCE

Example
  limner import google/ddpm-cifar10-32 --out models/ddpm
""",
    ),
    "export": _Command(
        "exchange:export",
        "limner export RUN [OPTIONS]",
        "Write a model in the layout of another library.",
        """\
The folder loads with diffusers. Models that were imported have that layout.

Example
  limner export models/ddpm --format diffusers --out for-others
""",
    ),
    "models": _Command(
        "models:models",
        "limner models [NAME] [OPTIONS]",
        "List the models, or all there is to know about one.",
        "",
    ),
    "show": _Command(
        "runs:show",
        "limner show RUN [OPTIONS]",
        "Say what a run is and how it stands.",
        "",
    ),
    "verify": _Command(
        "runs:verify",
        "limner verify PATH [OPTIONS]",
        "Check every byte of a run, a checkpoint or a model folder.",
        "The exit code is 5 when something is damaged.\n",
    ),
    "doctor": _Command(
        "doctor:doctor",
        "limner doctor [OPTIONS]",
        "Say what this machine offers, and how to get what is missing.",
        "",
    ),
}

_CHECK = _Command(
    "data:check",
    "limner data check DATA [OPTIONS]",
    "Say what is wrong with data, and what it is good for.",
    """\
DATA is a folder, an archive, a file of arrays, or builtin:openmoji and the
like. Nothing is changed. The exit code is 4 when training would refuse it.
""",
)

_HUMAN = {
    "make": _Command(
        "people:make",
        "limner human make A B … --out page.html [OPTIONS]",
        "Make a voting page: one HTML file that works offline.",
        """\
A and B are folders of images, or runs. The key that says which picture is
whose goes beside the page: keep it from the raters.

Examples
  limner human make runs/vae-1 runs/gan-1 --out vote.html
  limner human make runs/gan-1 --real photos --mode real-or-fake --out vote.html
""",
    ),
    "rank": _Command(
        "people:rank",
        "limner human rank KEY VOTES… [OPTIONS]",
        "Rank what was voted on, with intervals and the raters' agreement.",
        "",
    ),
}


def build() -> App:
    """The command line, none of its commands imported yet."""
    app = App(
        name="limner",
        help="Train, judge and use image generators on your own images.",
        usage="Usage: limner COMMAND …        More: limner COMMAND -h",
        help_epilogue=_EXIT_CODES,
        version=__version__,
        version_format="plaintext",
        help_format="plaintext",
        default_parameter=Parameter(negative=()),
        suppress_keyboard_interrupt=False,
    )
    data = App(name="data", help="Look at data before training on it.", help_epilogue="")
    app.command(data)
    for name, command in _COMMANDS.items():
        _add(app, name, command)
    _add(data, "check", _CHECK)
    human = App(name="human", help="Let people judge pictures without knowing whose they are.", help_epilogue="")
    app.command(human)
    for name, command in _HUMAN.items():
        _add(human, name, command)
    return app


def _add(app: App, name: str, command: _Command) -> None:
    app.command(
        f"{__package__}.{command.target}",
        name=name,
        help=command.summary,
        usage=f"Usage: {command.usage}",
        help_epilogue=command.more,
    )
