"""Convert the model that comes with the installation now, so that no first stream has to wait for it."""

from twin_assets.models.kinds import DataType
from twin_assets.processing.encoder import load_encoder
from twin_assets.processing.encoder_options import EncoderOptions
from twin_assets.processing.recipes import vector_recipe
from twin_assets.settings import Settings

settings = Settings(_env_file=None)
load_encoder(vector_recipe(settings, DataType.POSTS), EncoderOptions.of(settings))
