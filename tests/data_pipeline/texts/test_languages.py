"""Sentences of the seven spoken languages through all steps of texts."""

import unicodedata

import pytest

from data_pipeline.texts import lemma_gloss, normalisation, prompts

SENTENCES = {
  "tr": (
    "Işık ılık, İzmir iyi.", "Kitabımı okumadım.", "İstanbul'da yağmur var mı?",
    "ISPARTA'ya gidiyoruz.", "Çocuklar şimdi uyuyor.", "“Dur!” dedi annem.",
    "Iğdır ile Diyarbakır arası.", "Yarın 10.30'da gelin.", "Adım Işıl.",
    "Hiçbir şey bilmiyorum.",
  ),
  "ko": (
    "안녕하세요.", "저는 학교에 갔습니다.", "물을 마시지 않아요!", "몇 시예요?",
    "“아니요”라고 했어요.", "내일 비가 올 거예요.", "KTX를 탔어요.",
    "3월 1일입니다.", "한국 수어를 배우고 싶어요.", "모르겠습니다.",
  ),
  "de": (
    "Am Tag scheint die Sonne.", "Wie geht's?", "Ich weiß nicht.",
    "Die Straße ist naß.", "„Halt!“, rief sie.", "Es wird 20 Grad warm.",
    "Im Süden gibt's Gewitter.", "Kommst du morgen?", "Öl und Äpfel.",
    "Nein, danke.",
  ),
  "en": (
    "I don't know.", "He said \"no\".", "It's 10:30.", "Isn't it cold?",
    "Can't you see?", "We're heating the oil.", "Mix well.", "'Stop!'",
    "They've gone.", "Thank you.",
  ),
  "fr": (
    "Je ne sais pas.", "L’eau est froide aujourd'hui.", "Viens-tu ?",
    "Il n'y a personne.", "« Stop ! »", "Où est la gare ?", "Ça va ?",
    "Qu'est-ce que c'est ?", "Merci beaucoup.", "Deux œufs, s'il vous plaît.",
  ),
  "it": (
    "Non lo so.", "Dov'è l'ospedale?", "Che ore sono?", "Non c'è nessuno.",
    "«Basta!», disse.", "Perché no?", "Vado a casa.", "Mi chiamo Anna.",
    "È freddo oggi.", "Grazie mille.",
  ),
  "es": (
    "No lo sé.", "¿Dónde están los niños?", "¡Hola!", "Hace frío.",
    "«Basta», dijo.", "¿Cómo te llamas?", "Me llamo Ana.", "Nunca voy.",
    "El pingüino come.", "Gracias.",
  ),
}  # fmt: skip


@pytest.mark.parametrize("spoken", SENTENCES)
def test_sentences_go_through_casing_prompts_and_glosses(spoken):
  assert len(SENTENCES[spoken]) == 10
  for text in SENTENCES[spoken]:
    cleaned = normalisation.clean(text)
    assert unicodedata.is_normalized("NFC", cleaned)
    lower = normalisation.lower(cleaned, spoken)
    again = normalisation.lower(normalisation.upper(lower, spoken), spoken)
    assert again == (lower.replace("ß", "ss") if spoken == "de" else lower)
    gloss = lemma_gloss.make_gloss(cleaned, spoken)
    assert gloss and gloss == normalisation.upper(gloss, spoken)
    assert ("?" in gloss.split()) == text.rstrip("'\"”»").endswith("?")
    for name in map(str, range(60)):
      prompt = prompts.make_prompt(cleaned, spoken, name)
      for twice in ("''", "««", "»»", "““", "””", "„„", ".”", ".»", ".'"):
        doubled = twice in prompt and twice not in cleaned
        assert not doubled, prompt
