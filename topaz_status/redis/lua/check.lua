-- Whether scripts may do here all that they need. ARGV: the channel of a member. Answers whether dead members can be
-- noticed: some servers and proxies forbid that command.
steady()
local answer = redis.pcall('PUBSUB', 'NUMSUB', ARGV[1])
return answer.err and 0 or 1
