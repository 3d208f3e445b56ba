"""Put the weights of every model that TWIN_PROFILE names into $HF_HOME, and load each once to prove them."""

from huggingface_hub import snapshot_download

from twin_assets.models.base import DataType
from twin_assets.processing.encoder import load_encoder
from twin_assets.processing.recipes import FULL_CODE_MODEL, vector_recipe
from twin_assets.settings import load_settings

settings = load_settings()
if settings.profile == "full":
    snapshot_download(FULL_CODE_MODEL)
for data_type in DataType:
    load_encoder(vector_recipe(settings, data_type)).encode(["a text"])
