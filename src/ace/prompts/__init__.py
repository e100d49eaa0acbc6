"""Prompt packs: the texts of the three roles, with a version and a hash."""

from ace.prompts.manifest import AnswerRules
from ace.prompts.prompt_pack import OPERATIONS, PromptPack, find_pack, load_pack, packaged_packs

__all__ = ["OPERATIONS", "AnswerRules", "PromptPack", "find_pack", "load_pack", "packaged_packs"]
