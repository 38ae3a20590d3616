-- Native histograms, as native.py has them; apply.lua is run behind this file.
--
-- A line is "<sum> <count> <zero count> <schema> <zero threshold> <positive> <negative>", where the last two are
-- "index:count,index:count" or "-".

local COARSEST, FINEST = -4, 8
local native = { SHAPE = 'awwszbb' } -- as schema.py has it

local function side_of(text)
  local side = {}
  for index, count in string.gmatch(text, '(-?%d+):(%d+)') do side[tonumber(index)] = tonumber(count) end
  return side
end

function native.is_schema(word)
  return string.find(word, '^%-?%d$') and tonumber(word) >= COARSEST and tonumber(word) <= FINEST
end

-- No float needs an index of more than six digits.
function native.is_side(word)
  if word == '-' then return true end
  return not string.find(word, string.rep('%d', 16))
    and string.gsub(',' .. word, ',%-?%d%d?%d?%d?%d?%d?:%d+', '') == ''
end

-- Whether what is in the buckets is what was counted.
function native.adds_up(words)
  local inside = tonumber(words[3])
  for side = 6, 7 do
    for count in string.gmatch(words[side], ':(%d+)') do inside = inside + tonumber(count) end
  end
  return inside == tonumber(words[2])
end

local function side_text(side)
  local indexes = {}
  for index in pairs(side) do indexes[#indexes + 1] = index end
  table.sort(indexes)
  for place, index in ipairs(indexes) do indexes[place] = string.format('%.0f:%.0f', index, side[index]) end
  return #indexes > 0 and table.concat(indexes, ',') or '-'
end

local function upper_bound(index, schema)
  return 2 ^ (index * 2 ^ -schema)
end

function native.read(words)
  return {
    sum = tonumber(words[1]),
    count = tonumber(words[2]),
    zero_count = tonumber(words[3]),
    schema = tonumber(words[4]),
    zero_threshold = tonumber(words[5]),
    positive = side_of(words[6]),
    negative = side_of(words[7]),
  }
end

local function coarsen(counts, schema)
  local width = 2 ^ (counts.schema - schema)
  if width <= 1 then return end
  for _, name in ipairs({ 'positive', 'negative' }) do
    local joined = {}
    for index, count in pairs(counts[name]) do
      local wide = math.ceil(index / width) + 0 -- which is 0 where there was a -0
      joined[wide] = (joined[wide] or 0) + count
    end
    counts[name] = joined
  end
  counts.schema = schema
end

-- Moves into the zero bucket what is in buckets that begin below a threshold, each of them whole.
local function widen_zero(counts, threshold)
  for _, name in ipairs({ 'positive', 'negative' }) do
    local low = {}
    for index in pairs(counts[name]) do
      if upper_bound(index - 1, counts.schema) < threshold then low[#low + 1] = index end
    end
    for _, index in ipairs(low) do
      counts.zero_count = counts.zero_count + counts[name][index]
      counts[name][index] = nil
      threshold = math.max(threshold, upper_bound(index, counts.schema))
    end
  end
  counts.zero_threshold = math.max(counts.zero_threshold, threshold)
end

local function add_sides(into, from)
  for index, count in pairs(from) do into[index] = (into[index] or 0) + count end
end

function native.add(counts, other)
  while counts.zero_threshold ~= other.zero_threshold do
    local narrow, wide = counts, other
    if narrow.zero_threshold > wide.zero_threshold then narrow, wide = wide, narrow end
    widen_zero(narrow, wide.zero_threshold)
  end
  local schema = math.min(counts.schema, other.schema)
  coarsen(counts, schema)
  coarsen(other, schema)
  counts.sum = counts.sum + other.sum
  counts.count = counts.count + other.count
  counts.zero_count = counts.zero_count + other.zero_count
  add_sides(counts.positive, other.positive)
  add_sides(counts.negative, other.negative)
end

local function size(counts)
  local buckets = 0
  for _ in pairs(counts.positive) do buckets = buckets + 1 end
  for _ in pairs(counts.negative) do buckets = buckets + 1 end
  return buckets
end

function native.limit(counts, max_buckets)
  while size(counts) > max_buckets and counts.schema > COARSEST do coarsen(counts, counts.schema - 1) end
end

function native.write(counts, number_text)
  return {
    number_text(counts.sum),
    string.format('%.0f', counts.count),
    string.format('%.0f', counts.zero_count),
    string.format('%.0f', counts.schema),
    number_text(counts.zero_threshold),
    side_text(counts.positive),
    side_text(counts.negative),
  }
end

-- Applies one sealed batch: all of it, or none of it.
--
-- KEYS[1]   string  the writer's last applied sequence number
-- KEYS[2]   hash    families index: index field -> "<created ms> <announced ms> <metadata>";
--                   "incarnation" -> the name of this state, "batches" -> how many it has taken
-- KEYS[3]   hash    series of the family that counts overflowed updates
-- KEYS[4..] hash    one per family of the batch: label text -> packed line (see schema.py)
--
-- ARGV[1] sequence number of the batch: 1, 2, 3, ...
-- ARGV[2] lease of the writer's record, ms
-- ARGV[3] life of an untouched series, and of every key that holds series, ms
-- ARGV[4] series per family
-- ARGV[5] age of the batch since it was sealed, ms
-- ARGV[6] first half of a new name, for a state that has none: it is new, or was emptied
-- ARGV[7] "1" if the batch is sent again because the state went back in time: then it is renamed as well
-- then for each family:
--   header, five lines: index field, rule, shape of a packed line (a letter for each number, see schema.py; what does
--     not look like it is damaged, and starts again from zero), label text of its overflow series,
--     label text of its count in KEYS[3], or "" where none is kept
--   metadata, or "" once announced
--   m, then m times: label pairs, one a line; all series that have them are removed first, with "" all there are
--   n, then n times: label text, delta
--     delta of rule "sum":    "<index> <amount> ..." with 1-based indexes into the line's numbers
--     delta of rule "latest": "<value> <age when sealed, ms>", with age -1 for a value that was never set
--     delta of rule "word":   the same, and the value is any text without spaces
--     delta of rule "native": "<buckets at most> <a native histogram's line>"
--     "D <delta>" removes the series first, "D" does nothing else
--
-- Answers {"applied", state}, {"duplicate", state}, {"gap", the sequence number expected, state} where state is
--         "<incarnation> <batches>",
--         {"unannounced", family, ...} or {"refused", family, ...} with 1-based positions in the batch.
-- Every key is read and every new line computed before the first write, so whatever is wrong with a key or
-- an argument ends the script while nothing is written. Whatever is wrong with one family alone, refuses that family: a
-- batch that failed as a whole would be sent again for ever.

local FIRST_FAMILY = 3 -- keys before it
local FIRST_HEADER = 8
local TIMES_WIDTH = 28 -- " <created ms> <touched ms>"

local sequence, lease_ms, life_ms = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local max_series, batch_age_ms = tonumber(ARGV[4]), tonumber(ARGV[5])

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local now_text = string.format('%013.0f', now)

local function number_text(number)
  if number ~= number then return 'NaN' end
  if number == math.huge then return '+Inf' end
  if number == -math.huge then return '-Inf' end
  local short = string.format('%.15g', number)
  if tonumber(short) == number then return short end
  return string.format('%.17g', number)
end

-- By letter of a shape: the word as it may stand in a line of ours, or nil. Whatever is more than 15 digits
-- can't have been counted.
local fitting = {}

function fitting.f(word)
  if #word <= 24 and string.find(word, '^%-?%d+%.?%d*$') then return string.find(word, '%d$') and word end
  local number = string.find(word, '^%-?%d[%d.e+-]*$') and tonumber(word)
  return number and math.abs(number) < math.huge and number_text(number)
end

function fitting.a(word) return (word == '+Inf' or word == '-Inf' or word == 'NaN') and word or fitting.f(word) end
function fitting.g(word) return word == '+Inf' and word or string.sub(word, 1, 1) ~= '-' and fitting.f(word) end
function fitting.w(word) return #word <= 15 and string.find(word, '^%d+$') and word end
function fitting.i(word) return #word <= 16 and string.find(word, '^%-?%d+$') and word end
function fitting.x(word) return string.find(word, '^=[!-~]*$') and word end
function fitting.z(word) return string.sub(word, 1, 1) ~= '-' and fitting.f(word) end
function fitting.s(word) return native.is_schema(word) and word end
function fitting.b(word) return native.is_side(word) and word end

-- The words of a stored line that is neither stale nor damaged.
local function words_of(line, shape)
  local created, touched = string.match(line, ' (%d+) (%d+)$', -TIMES_WIDTH)
  if not created or #created ~= 13 or #touched ~= 13 or now - touched > life_ms then return nil end
  local words = { created = created }
  for word in string.gmatch(string.sub(line, 1, -TIMES_WIDTH - 1), '%S+') do
    local letter = string.sub(shape, #words + 1, #words + 1)
    local fitted = letter ~= '' and fitting[letter](word)
    if not fitted then return nil end
    words[#words + 1] = fitted
  end
  if #words ~= #shape or (shape == native.SHAPE and not native.adds_up(words)) then return nil end
  return words
end

-- A stored line taken apart, its numbers as text: those that a delta leaves alone are never converted.
-- One of zeros where the line is absent, stale or damaged.
local function unpack_line(line, shape)
  local numbers = line and words_of(line, shape)
  if numbers then return numbers end
  numbers = { created = now_text }
  for index = 1, #shape do numbers[index] = '0' end
  return numbers
end

local merge = {}

function merge.sum(numbers, delta)
  local index
  for word in string.gmatch(delta, '%S+') do
    if index then
      numbers[index] = number_text(numbers[index] + tonumber(word))
      index = nil
    else
      index = tonumber(word)
    end
  end
  if index then error('kairo: malformed delta: ' .. delta) end
end

-- Puts the value that a delta sets into place unless a newer one is there.
local function set_newest(numbers, delta, printed)
  local value, age = string.match(delta, '^(%S+) (%S+)$')
  local set_at = age == '-1' and 0 or now - batch_age_ms - tonumber(age)
  local stored_at = tonumber(numbers[2])
  if set_at >= stored_at or stored_at > now then -- nobody sets anything in the future
    numbers[1], numbers[2] = printed(value), number_text(set_at)
  end
end

function merge.latest(numbers, delta)
  set_newest(numbers, delta, function(value) return number_text(tonumber(value)) end)
end

function merge.native(numbers, delta)
  local words = {}
  for word in string.gmatch(delta, '%S+') do words[#words + 1] = word end
  if #words ~= 8 then error('kairo: malformed delta: ' .. delta) end
  local max_buckets = tonumber(table.remove(words, 1))
  local counts = native.read(words)
  if numbers[6] ~= '0' then -- else it is new: a line of zeros
    local stored = native.read(numbers)
    native.add(stored, counts)
    counts = stored
  end
  native.limit(counts, max_buckets)
  for place, word in ipairs(native.write(counts, number_text)) do numbers[place] = word end
end

function merge.word(numbers, delta)
  set_newest(numbers, delta, function(value) return value end)
end

-- The order of batches.

local function is_foreign(reply) return type(reply) == 'table' and reply.err and string.find(reply.err, 'WRONGTYPE') end

local record = redis.pcall('GET', KEYS[1])
if type(record) == 'table' and record.err and not is_foreign(record) then return record end
-- A record that is none of ours is as good as gone: the writer takes another name.
local applied = type(record) == 'string' and fitting.w(record) and tonumber(record) or 0
local state = redis.call('HMGET', KEYS[2], 'incarnation', 'batches')
local incarnation, batches = state[1] or '', state[2] or '0'
local is_countable = fitting.w(batches)
if not is_countable or not string.find(incarnation, '^[%w-]+$') then incarnation = '' end
if not is_countable then batches = '0' end
if sequence <= applied then return { 'duplicate', incarnation .. ' ' .. batches } end
if sequence > applied + 1 then return { 'gap', applied + 1, incarnation .. ' ' .. batches } end

-- Read.

local families, index_fields = {}, {}
local at = FIRST_HEADER
for position = 1, #KEYS - FIRST_FAMILY do
  local index_field, rule, shape, overflow, overflow_count =
    string.match(ARGV[at], '^([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)$')
  local count_at = at + 3 + tonumber(ARGV[at + 2]) -- of the series; before it stands what is cleared
  local family = {
    key = KEYS[FIRST_FAMILY + position],
    index_field = index_field,
    metadata = ARGV[at + 1],
    merge = merge[rule],
    shape = shape,
    overflow = overflow,
    overflow_count = overflow_count,
    first_cleared = at + 3,
    first = count_at + 1,
    last = count_at + 2 * tonumber(ARGV[count_at]),
    overflowed = 0,
  }
  families[position], index_fields[position] = family, index_field
  at = family.last + 1
end
if at ~= #ARGV + 1 then return redis.error_reply('ERR kairo: the batch is cut off or too long') end

local function has_pairs(field, pairs_of_labels)
  -- A quote inside of a value is escaped, so that no value looks like a label.
  for pair in string.gmatch(pairs_of_labels, '[^\n]+') do
    if not string.find(',' .. field .. ',', ',' .. pair .. ',', 1, true) then return false end
  end
  return true
end

local function to_be_cleared(family)
  local fields = {}
  if family.first_cleared == family.first - 1 then return fields end
  for _, field in ipairs(redis.call('HKEYS', family.key)) do
    for i = family.first_cleared, family.first - 2 do
      if has_pairs(field, ARGV[i]) then
        fields[#fields + 1] = field
        break
      end
    end
  end
  return fields
end

local known = #families > 0 and redis.call('HMGET', KEYS[2], unpack(index_fields))
local unannounced, refused = { 'unannounced' }, { 'refused' }
for position, family in ipairs(families) do
  -- An entry that was spoilt is told again.
  family.known = known[position] and string.find(known[position], '^%d+ %d+ {.*}$') and known[position]
  if family.metadata == '' and not family.known then unannounced[#unannounced + 1] = position end
  local fields = {}
  for i = family.first, family.last, 2 do fields[#fields + 1] = ARGV[i] end
  -- A family without series is asked for one all the same, to learn whether its key is a hash.
  local lines = redis.pcall('HMGET', family.key, family.overflow, unpack(fields))
  if is_foreign(lines) then
    refused[#refused + 1] = position
  elseif lines.err then
    return lines
  else
    family.stored = { [family.overflow] = lines[1] or nil }
    for i, field in ipairs(fields) do family.stored[field] = lines[i + 1] or nil end
    family.removed = to_be_cleared(family)
    for _, field in ipairs(family.removed) do family.stored[field] = nil end
  end
end
if #refused > 1 then return refused end
if #unannounced > 1 then return unannounced end

-- Compute.

-- How many series a family may still take; its overflow series itself takes no room.
local function room_of(family)
  local length = redis.pcall('HLEN', family.key)
  if type(length) == 'table' then
    family.failure = length
    error('kairo: the length is not known')
  end
  return max_series - (length - #family.removed - (family.stored[family.overflow] and 1 or 0))
end

-- Takes out of what is stored the series that begin again or are gone. Before all else: what overflows in this batch must
-- neither go with the overflow series nor bring back what it held.
local function remove(family)
  for i = family.first, family.last, 2 do
    local field = ARGV[i]
    if string.sub(ARGV[i + 1], 1, 1) == 'D' and family.stored[field] then
      family.stored[field] = nil
      family.removed[#family.removed + 1] = field
    end
  end
end

local overflowed = {}
local function compute(family)
  family.lines = {}
  local room
  remove(family)
  for i = family.first, family.last, 2 do
    local field = ARGV[i]
    if ARGV[i + 1] ~= 'D' then
      if not family.stored[field] and not family.lines[field] and field ~= family.overflow then
        room = room or room_of(family)
        if room > 0 then
          room = room - 1
        else
          field, family.overflowed = family.overflow, family.overflowed + 1
        end
      end
      local numbers = family.lines[field] or unpack_line(family.stored[field], family.shape)
      family.merge(numbers, string.match(ARGV[i + 1], '^D (.*)$') or ARGV[i + 1])
      family.lines[field] = numbers
    end
  end
  if family.overflowed > 0 and family.overflow_count ~= '' then
    local line = redis.pcall('HGET', KEYS[3], family.overflow_count)
    if type(line) ~= 'table' then -- else the key holds something foreign, and this count is lost
      overflowed[family.overflow_count] = unpack_line(line, 'g')
      merge.sum(overflowed[family.overflow_count], '1 ' .. family.overflowed)
    end
  end
end

for position, family in ipairs(families) do
  if not pcall(compute, family) then
    if family.failure then return family.failure end
    refused[#refused + 1] = position
  end
end
if #refused > 1 then return refused end

local function write(key, lines)
  local pairs_of_hset = {}
  for field, numbers in pairs(lines) do
    numbers[#numbers + 1] = numbers.created
    numbers[#numbers + 1] = now_text
    pairs_of_hset[#pairs_of_hset + 1] = field
    pairs_of_hset[#pairs_of_hset + 1] = table.concat(numbers, ' ')
  end
  if #pairs_of_hset == 0 then return end
  redis.call('HSET', key, unpack(pairs_of_hset))
  redis.call('PEXPIRE', key, life_ms)
end

-- Write.

for _, family in ipairs(families) do
  if family.metadata ~= '' then
    local created = family.known and string.match(family.known, '^%d+ ') or now_text .. ' '
    redis.call('HSET', KEYS[2], family.index_field, created .. now_text .. ' ' .. family.metadata)
  end
  for _, field in ipairs(family.removed) do redis.call('HDEL', family.key, field) end
  write(family.key, family.lines)
end
write(KEYS[3], overflowed)
if incarnation == '' or ARGV[7] == '1' then
  -- With the time in it, a name never comes back.
  incarnation = ARGV[6] .. '-' .. now_text
  redis.call('HSET', KEYS[2], 'incarnation', incarnation)
end
if not is_countable then redis.call('HSET', KEYS[2], 'batches', '0') end
batches = redis.call('HINCRBY', KEYS[2], 'batches', 1)
redis.call('PEXPIRE', KEYS[2], life_ms)
redis.call('SET', KEYS[1], ARGV[1], 'PX', lease_ms)
return { 'applied', incarnation .. ' ' .. batches }
