"""Manual alphabets of the letter recordings.

Four belong to the eight sign languages of Prompt2Sign. The others are named by
their ISO 639-3 code. A new one needs a line here and a word list of its spoken
language in `words/`.
"""

from signllm_jax.core.languages import LANGUAGES, Language

_CORPUS = "letter recordings of spoken-to-signed"

ALPHABETS: dict[str, Language] = {
  language.config_name: language
  for language in (
    *(LANGUAGES[code] for code in ("ASL", "GSL", "DSGS", "TSL")),
    Language("ASQ", "Austrian Sign Language", "asq", "de", _CORPUS),
    Language("BZS", "Brazilian Sign Language", "bzs", "pt", _CORPUS),
    Language("CSE", "Czech Sign Language", "cse", "cs", _CORPUS),
    Language("CSQ", "Croatian Sign Language", "csq", "hr", _CORPUS),
    Language("ESO", "Estonian Sign Language", "eso", "et", _CORPUS),
    Language("FSL", "French Sign Language", "fsl", "fr", _CORPUS),
    Language("GSS", "Greek Sign Language", "gss", "el", _CORPUS),
    Language("ISE", "Italian Sign Language", "ise", "it", _CORPUS),
    Language("LLS", "Lithuanian Sign Language", "lls", "lt", _CORPUS),
    Language("MFS", "Mexican Sign Language", "mfs", "es", _CORPUS),
    Language("PSR", "Portuguese Sign Language", "psr", "pt", _CORPUS),
    Language("SSP", "Spanish Sign Language", "ssp", "es", _CORPUS),
    Language("SVK", "Slovak Sign Language", "svk", "sk", _CORPUS),
    Language("SWL", "Swedish Sign Language", "swl", "sv", _CORPUS),
    Language("UKL", "Ukrainian Sign Language", "ukl", "uk", _CORPUS),
  )
}
