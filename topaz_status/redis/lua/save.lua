-- A saved text. KEYS: the state, the text's own. ARGV: member, its epoch, the text, milliseconds that it is kept.
-- Answers 0 if the epoch is no longer in force.
if not in_force(ARGV[2], ARGV[1], steady()) then
  return 0
end
redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4])
return 1
