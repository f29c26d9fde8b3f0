-- Mail. KEYS: a box for each message, after the state. ARGV: the messages a box keeps, milliseconds that it is kept; then
-- the messages.
for at = 2, #KEYS do
  redis.call('XADD', KEYS[at], 'MAXLEN', '~', ARGV[1], '*', 'b', ARGV[at + 1])
  redis.call('PEXPIRE', KEYS[at], ARGV[2])
end
return 1
