"""The sentiment subnet: what does the writer of a text that did not exist before think of a film?"""

from ranvier.subnets.sentiment.subnet import SentimentSettings, SentimentSubnet
from ranvier.subnets.sentiment.synapse import LABELS, Opinion, Passage, Sentiment

__all__ = ["LABELS", "Opinion", "Passage", "Sentiment", "SentimentSettings", "SentimentSubnet"]
