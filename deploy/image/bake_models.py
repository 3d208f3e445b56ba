"""Put the weights of each model that TWIN_PROFILE names into $HF_HOME, convert it, and load it as a proof."""

from huggingface_hub import snapshot_download

from twin_assets.models.kinds import DataType
from twin_assets.processing.encoder import load_encoder
from twin_assets.processing.encoder_options import EncoderOptions
from twin_assets.processing.recipes import FULL_CODE_MODEL, vector_recipe
from twin_assets.settings import load_settings

settings = load_settings()
if settings.profile == "full":
    snapshot_download(FULL_CODE_MODEL)
for data_type in DataType:
    load_encoder(vector_recipe(settings, data_type), EncoderOptions.of(settings)).encode(["a text"])
