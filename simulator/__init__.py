"""The world around a validator: time, chance, flash, network, reader chips, cards, phones, riders, a city and its fleet."""
