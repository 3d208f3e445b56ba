"""The assets: what is in MongoDB and RabbitMQ, and the six collections in Qdrant that are made of it."""

from dagster import (
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    AssetSpec,
    Config,
    Failure,
    MaterializeResult,
    MetadataValue,
    asset,
)
from pydantic import Field

from twin_assets.defs.beating import beating
from twin_assets.defs.names import CHANGES_KEY, SOURCES_GROUP, collection_key, source_key
from twin_assets.defs.recipes import RecipeNote, describe_recipe, recipe_table
from twin_assets.defs.reports import ProgressLog, metadata_of
from twin_assets.defs.resources import TwinResource
from twin_assets.errors import GenerationRejected
from twin_assets.models.generation import alias_of
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.settings import Settings

SOURCES = {
    DataType.POSTS: "Posts as people wrote them, from social networks.",
    DataType.ARTICLES: "Articles as people wrote them, from blogs and documentation.",
    DataType.REPOSITORIES: "Code as people wrote it: one document per repository, one text per file.",
}
PURPOSES = {
    Snapshot.CLEANED: (
        "All {type} with cleaned text, one point per document and no vectors: for those who fine-tune a "
        "model. Read it with `FeatureStore.cleaned`."
    ),
    Snapshot.VECTOR: (
        "All {type} in chunks, each with its vector: for those who search them to answer a question (RAG). "
        "Read it with `FeatureStore.search` or any Qdrant client."
    ),
}
KINDS = {Snapshot.CLEANED: {"qdrant", "python"}, Snapshot.VECTOR: {"qdrant", "pytorch"}}
FRESHNESS = (
    "`stream_features` keeps it in step in real time; materializing it builds it anew from MongoDB, and "
    "readers see the old one until the new one has passed its checks."
)


class RebuildConfig(Config):
    """How a materialization goes about it; the defaults suit nearly always."""

    fresh: bool = Field(
        default=False, description="Begin anew instead of taking up what an earlier run has begun."
    )
    reuse_vectors: bool = Field(
        default=True,
        description="Take the vectors of equal text from the generation that readers see; off: embed all.",
    )


def source_specs() -> list[AssetSpec]:
    """Return what Dagster shows and does not make: the documents, and the changes on their way."""
    documents = [
        AssetSpec(source_key(data_type), description=text, group_name=SOURCES_GROUP, kinds={"mongodb"})
        for data_type, text in SOURCES.items()
    ]
    changes = AssetSpec(
        CHANGES_KEY,
        deps=[source_key(data_type) for data_type in DataType],
        description=(
            "Which documents changed, without their text, in order per document: `capture_changes` puts them "
            "here and `stream_features` takes them. What could not be processed waits in `twin.dead`."
        ),
        group_name=SOURCES_GROUP,
        kinds={"rabbitmq"},
    )
    return [*documents, changes]


def build_collection(snapshot: Snapshot, data_type: DataType, settings: Settings) -> AssetsDefinition:
    """Return the asset of one collection; materializing it rebuilds the collection."""
    note = describe_recipe(settings, snapshot, data_type)
    alias = alias_of(snapshot, data_type)

    @asset(
        key=collection_key(snapshot, data_type),
        deps=_upstream(snapshot, data_type),
        description=_description(snapshot, data_type, note),
        group_name=data_type.value,
        kinds=KINDS[snapshot],
        code_version=note.code_version,
        metadata={"collection": alias} | ({"recipe": recipe_table(note.recipe)} if note.recipe else {}),
        # One rebuild at a time per collection: there is at most one building generation of each.
        pool=alias,
    )
    def collection(
        context: AssetExecutionContext, config: RebuildConfig, twin: TwinResource
    ) -> MaterializeResult[None]:
        from twin_assets.operations.courtesy import give_way
        from twin_assets.operations.rebuild import rebuild

        settings = twin.settings()
        with beating(context.instance, context.run_id, settings) as stop, twin.open(settings) as opened:
            # The beat is a thread of its own by now, and keeps its priority.
            give_way(settings.rebuild_priority)
            progress = ProgressLog(context.log.info)
            try:
                report = rebuild(
                    opened,
                    snapshot,
                    data_type,
                    fresh=config.fresh,
                    reuse_vectors=config.reuse_vectors,
                    progress=progress,
                    stop=stop,
                )
            except GenerationRejected as error:
                figures = {name: MetadataValue.json(dict(each)) for name, each in error.figures.items()}
                raise Failure(str(error), metadata=figures) from error
        return MaterializeResult(metadata=metadata_of(report))

    return collection


def _upstream(snapshot: Snapshot, data_type: DataType) -> list[AssetKey]:
    """Return what a collection is made of: vectors take their text from the cleaned collection."""
    if snapshot is Snapshot.VECTOR:
        return [collection_key(Snapshot.CLEANED, data_type)]
    return [source_key(data_type), CHANGES_KEY]


def _description(snapshot: Snapshot, data_type: DataType, note: RecipeNote) -> str:
    warning = [f"**Not as it should be:** {note.warning}"] if note.warning else []
    return "\n\n".join([*warning, PURPOSES[snapshot].format(type=data_type.value), FRESHNESS])


def collection_assets(settings: Settings) -> list[AssetsDefinition]:
    """Return the assets of all collections."""
    return [
        build_collection(snapshot, data_type, settings) for data_type in DataType for snapshot in Snapshot
    ]
