;; Owns inner loops, four or sixteen values at a time: of seal/1 (man 7 colweave-receipt), of pages and of baskets. Where they are
;; called from are the same loops one at a time. Sums over rows: `rows` is the address of one byte a row, 0 = leave the row out; itself 0 = all rows. `count` is a
;; multiple of four. Sums are written to `out`: lane a as two u64, lane b as two u64, rows that counted as four u32.
(module
  (memory (export "memory") 1024 1024)

  ;; (x ^ x >> 16 ^ a) * MIX_1, then (x ^ x >> 15 ^ b) * MIX_2, then x ^ x >> 16
  (func $firstWord (param $x v128) (param $a v128) (param $b v128) (result v128)
    (local.set $x (i32x4.mul
      (v128.xor (v128.xor (local.get $x) (i32x4.shr_u (local.get $x) (i32.const 16))) (local.get $a))
      (v128.const i32x4 0x7feb352d 0x7feb352d 0x7feb352d 0x7feb352d)))
    (local.set $x (i32x4.mul
      (v128.xor (v128.xor (local.get $x) (i32x4.shr_u (local.get $x) (i32.const 15))) (local.get $b))
      (v128.const i32x4 0x846ca68b 0x846ca68b 0x846ca68b 0x846ca68b)))
    (v128.xor (local.get $x) (i32x4.shr_u (local.get $x) (i32.const 16))))

  ;; (x ^ word) * MIX_1, then (x ^ x >> 15 ^ a) * MIX_2, then x ^ x >> 16
  (func $nextWord (param $x v128) (param $word v128) (param $a v128) (result v128)
    (local.set $x (i32x4.mul
      (v128.xor (local.get $x) (local.get $word))
      (v128.const i32x4 0x7feb352d 0x7feb352d 0x7feb352d 0x7feb352d)))
    (local.set $x (i32x4.mul
      (v128.xor (v128.xor (local.get $x) (i32x4.shr_u (local.get $x) (i32.const 15))) (local.get $a))
      (v128.const i32x4 0x846ca68b 0x846ca68b 0x846ca68b 0x846ca68b)))
    (v128.xor (local.get $x) (i32x4.shr_u (local.get $x) (i32.const 16))))

  ;; all ones for each of four rows that counts
  (func $counting (param $rows i32) (result v128)
    (if (result v128) (local.get $rows)
      (then (i32x4.ne
        (i32x4.extend_low_i16x8_u (i16x8.extend_low_i8x16_u (v128.load32_zero (local.get $rows))))
        (v128.const i32x4 0 0 0 0)))
      (else (v128.const i32x4 -1 -1 -1 -1))))

  ;; LANE_A and LANE_B: x ^ x >> 15 of the product, for the rows that count, as two sums of two
  (func $laneA (param $x v128) (param $state v128) (param $counting v128) (result v128)
    (call $pairs (i32x4.mul (v128.xor (local.get $x) (local.get $state))
      (v128.const i32x4 0xc2b2ae35 0xc2b2ae35 0xc2b2ae35 0xc2b2ae35)) (local.get $counting)))
  (func $laneB (param $x v128) (param $state v128) (param $counting v128) (result v128)
    (call $pairs (i32x4.mul (v128.xor (local.get $x) (local.get $state))
      (v128.const i32x4 0x9e3779b1 0x9e3779b1 0x9e3779b1 0x9e3779b1)) (local.get $counting)))
  (func $pairs (param $x v128) (param $counting v128) (result v128)
    (local.set $x
      (v128.and (v128.xor (local.get $x) (i32x4.shr_u (local.get $x) (i32.const 15))) (local.get $counting)))
    (i64x2.add (i64x2.extend_low_i32x4_u (local.get $x)) (i64x2.extend_high_i32x4_u (local.get $x))))

  (func $store (param $out i32) (param $sumA v128) (param $sumB v128) (param $present v128)
    (v128.store (local.get $out) (local.get $sumA))
    (v128.store offset=16 (local.get $out) (local.get $sumB))
    (v128.store offset=32 (local.get $out) (local.get $present)))

  ;; values of one word each
  (func (export "terms1")
    (param $words i32) (param $a i32) (param $b i32) (param $rows i32) (param $count i32) (param $out i32)
    (local $x v128) (local $stateA v128) (local $stateB v128) (local $counting v128)
    (local $sumA v128) (local $sumB v128) (local $present v128)
    (block $done (loop $next
      (br_if $done (i32.eqz (local.get $count)))
      (local.set $stateA (v128.load (local.get $a)))
      (local.set $stateB (v128.load (local.get $b)))
      (local.set $counting (call $counting (local.get $rows)))
      (local.set $x (call $firstWord (v128.load (local.get $words)) (local.get $stateA) (local.get $stateB)))
      (local.set $sumA
        (i64x2.add (local.get $sumA) (call $laneA (local.get $x) (local.get $stateA) (local.get $counting))))
      (local.set $sumB
        (i64x2.add (local.get $sumB) (call $laneB (local.get $x) (local.get $stateB) (local.get $counting))))
      (local.set $present (i32x4.sub (local.get $present) (local.get $counting)))
      (local.set $words (i32.add (local.get $words) (i32.const 16)))
      (local.set $a (i32.add (local.get $a) (i32.const 16)))
      (local.set $b (i32.add (local.get $b) (i32.const 16)))
      (if (local.get $rows) (then (local.set $rows (i32.add (local.get $rows) (i32.const 4)))))
      (local.set $count (i32.sub (local.get $count) (i32.const 4)))
      (br $next)))
    (call $store (local.get $out) (local.get $sumA) (local.get $sumB) (local.get $present)))

  ;; values of two words each, low word first
  (func (export "terms2")
    (param $words i32) (param $a i32) (param $b i32) (param $rows i32) (param $count i32) (param $out i32)
    (local $x v128) (local $left v128) (local $right v128)
    (local $stateA v128) (local $stateB v128) (local $counting v128)
    (local $sumA v128) (local $sumB v128) (local $present v128)
    (block $done (loop $next
      (br_if $done (i32.eqz (local.get $count)))
      (local.set $stateA (v128.load (local.get $a)))
      (local.set $stateB (v128.load (local.get $b)))
      (local.set $counting (call $counting (local.get $rows)))
      (local.set $left (v128.load (local.get $words)))
      (local.set $right (v128.load offset=16 (local.get $words)))
      (local.set $x (call $firstWord
        (i8x16.shuffle 0 1 2 3 8 9 10 11 16 17 18 19 24 25 26 27 (local.get $left) (local.get $right))
        (local.get $stateA) (local.get $stateB)))
      (local.set $x (call $nextWord (local.get $x)
        (i8x16.shuffle 4 5 6 7 12 13 14 15 20 21 22 23 28 29 30 31 (local.get $left) (local.get $right))
        (local.get $stateA)))
      (local.set $sumA
        (i64x2.add (local.get $sumA) (call $laneA (local.get $x) (local.get $stateA) (local.get $counting))))
      (local.set $sumB
        (i64x2.add (local.get $sumB) (call $laneB (local.get $x) (local.get $stateB) (local.get $counting))))
      (local.set $present (i32x4.sub (local.get $present) (local.get $counting)))
      (local.set $words (i32.add (local.get $words) (i32.const 32)))
      (local.set $a (i32.add (local.get $a) (i32.const 16)))
      (local.set $b (i32.add (local.get $b) (i32.const 16)))
      (if (local.get $rows) (then (local.set $rows (i32.add (local.get $rows) (i32.const 4)))))
      (local.set $count (i32.sub (local.get $count) (i32.const 4)))
      (br $next)))
    (call $store (local.get $out) (local.get $sumA) (local.get $sumB) (local.get $present)))

  ;; list terms: (length, depth) under states salted with LIST_A and LIST_B
  (func (export "lengths")
    (param $offsets i32) (param $a i32) (param $b i32) (param $rows i32) (param $count i32) (param $out i32)
    (param $depth i32)
    (local $x v128) (local $stateA v128) (local $stateB v128) (local $counting v128)
    (local $sumA v128) (local $sumB v128) (local $present v128)
    (block $done (loop $next
      (br_if $done (i32.eqz (local.get $count)))
      (local.set $stateA (v128.xor (v128.load (local.get $a))
        (v128.const i32x4 0x51ed270b 0x51ed270b 0x51ed270b 0x51ed270b)))
      (local.set $stateB (v128.xor (v128.load (local.get $b))
        (v128.const i32x4 0x2f6a3d95 0x2f6a3d95 0x2f6a3d95 0x2f6a3d95)))
      (local.set $counting (call $counting (local.get $rows)))
      (local.set $x (call $firstWord
        (i32x4.sub (v128.load offset=4 (local.get $offsets)) (v128.load (local.get $offsets)))
        (local.get $stateA) (local.get $stateB)))
      (local.set $x (call $nextWord (local.get $x) (i32x4.splat (local.get $depth)) (local.get $stateA)))
      (local.set $sumA
        (i64x2.add (local.get $sumA) (call $laneA (local.get $x) (local.get $stateA) (local.get $counting))))
      (local.set $sumB
        (i64x2.add (local.get $sumB) (call $laneB (local.get $x) (local.get $stateB) (local.get $counting))))
      (local.set $present (i32x4.sub (local.get $present) (local.get $counting)))
      (local.set $offsets (i32.add (local.get $offsets) (i32.const 16)))
      (local.set $a (i32.add (local.get $a) (i32.const 16)))
      (local.set $b (i32.add (local.get $b) (i32.const 16)))
      (if (local.get $rows) (then (local.set $rows (i32.add (local.get $rows) (i32.const 4)))))
      (local.set $count (i32.sub (local.get $count) (i32.const 4)))
      (br $next)))
    (call $store (local.get $out) (local.get $sumA) (local.get $sumB) (local.get $present)))

  ;; States of items: item k of a row is the row's state, plus k + 1 times ITEM_A or ITEM_B. Writes up to three words more.
  (func (export "itemStates")
    (param $a i32) (param $b i32) (param $offsets i32) (param $rows i32) (param $outA i32) (param $outB i32)
    (local $items i32) (local $toA i32) (local $toB i32) (local $x v128) (local $y v128)
    (block $done (loop $next
      (br_if $done (i32.eqz (local.get $rows)))
      (local.set $items (i32.sub (i32.load offset=4 (local.get $offsets)) (i32.load (local.get $offsets))))
      (local.set $toA (local.get $outA))
      (local.set $toB (local.get $outB))
      (local.set $outA (i32.add (local.get $outA) (i32.shl (local.get $items) (i32.const 2))))
      (local.set $outB (i32.add (local.get $outB) (i32.shl (local.get $items) (i32.const 2))))
      ;; 1, 2, 3 and 4 times the step
      (local.set $x (i32x4.add (i32x4.splat (i32.load (local.get $a)))
        (v128.const i32x4 0x9e3779b9 0x3c6ef372 0xdaa66d2b 0x78dde6e4)))
      (local.set $y (i32x4.add (i32x4.splat (i32.load (local.get $b)))
        (v128.const i32x4 0x7f4a7c15 0xfe94f82a 0x7ddf743f 0xfd29f054)))
      (block $full (loop $four
        (br_if $full (i32.le_s (local.get $items) (i32.const 0)))
        (v128.store (local.get $toA) (local.get $x))
        (v128.store (local.get $toB) (local.get $y))
        (local.set $toA (i32.add (local.get $toA) (i32.const 16)))
        (local.set $toB (i32.add (local.get $toB) (i32.const 16)))
        (local.set $x (i32x4.add (local.get $x) (v128.const i32x4 0x78dde6e4 0x78dde6e4 0x78dde6e4 0x78dde6e4)))
        (local.set $y (i32x4.add (local.get $y) (v128.const i32x4 0xfd29f054 0xfd29f054 0xfd29f054 0xfd29f054)))
        (local.set $items (i32.sub (local.get $items) (i32.const 4)))
        (br $four)))
      (local.set $a (i32.add (local.get $a) (i32.const 4)))
      (local.set $b (i32.add (local.get $b) (i32.const 4)))
      (local.set $offsets (i32.add (local.get $offsets) (i32.const 4)))
      (local.set $rows (i32.sub (local.get $rows) (i32.const 1)))
      (br $next))))

  ;; BYTE_STREAM_SPLIT: bytes 0 of `count` words (a multiple of sixteen), then bytes 1, 2 and 3, each `count` further on.
  (func (export "split") (param $words i32) (param $count i32) (param $out i32)
    (local $end i32) (local $a v128) (local $b v128) (local $c v128) (local $d v128)
    (local $e v128) (local $f v128) (local $g v128) (local $h v128)
    (local.set $end (i32.add (local.get $out) (local.get $count)))
    (block $done (loop $next
      (br_if $done (i32.ge_u (local.get $out) (local.get $end)))
      (local.set $a (call $planes (v128.load (local.get $words))))
      (local.set $b (call $planes (v128.load offset=16 (local.get $words))))
      (local.set $c (call $planes (v128.load offset=32 (local.get $words))))
      (local.set $d (call $planes (v128.load offset=48 (local.get $words))))
      (local.set $e (i8x16.shuffle 0 1 2 3 16 17 18 19 4 5 6 7 20 21 22 23 (local.get $a) (local.get $b)))
      (local.set $f (i8x16.shuffle 8 9 10 11 24 25 26 27 12 13 14 15 28 29 30 31 (local.get $a) (local.get $b)))
      (local.set $g (i8x16.shuffle 0 1 2 3 16 17 18 19 4 5 6 7 20 21 22 23 (local.get $c) (local.get $d)))
      (local.set $h (i8x16.shuffle 8 9 10 11 24 25 26 27 12 13 14 15 28 29 30 31 (local.get $c) (local.get $d)))
      (v128.store (local.get $out)
        (i8x16.shuffle 0 1 2 3 4 5 6 7 16 17 18 19 20 21 22 23 (local.get $e) (local.get $g)))
      (v128.store (i32.add (local.get $out) (local.get $count))
        (i8x16.shuffle 8 9 10 11 12 13 14 15 24 25 26 27 28 29 30 31 (local.get $e) (local.get $g)))
      (v128.store (i32.add (local.get $out) (i32.shl (local.get $count) (i32.const 1)))
        (i8x16.shuffle 0 1 2 3 4 5 6 7 16 17 18 19 20 21 22 23 (local.get $f) (local.get $h)))
      (v128.store (i32.add (local.get $out) (i32.mul (local.get $count) (i32.const 3)))
        (i8x16.shuffle 8 9 10 11 12 13 14 15 24 25 26 27 28 29 30 31 (local.get $f) (local.get $h)))
      (local.set $words (i32.add (local.get $words) (i32.const 64)))
      (local.set $out (i32.add (local.get $out) (i32.const 16)))
      (br $next))))
  (func $planes (param $x v128) (result v128)
    (i8x16.shuffle 0 4 8 12 1 5 9 13 2 6 10 14 3 7 11 15 (local.get $x) (local.get $x)))

  ;; The first of `count` entries (a multiple of four) that is not at starts * itemBytes + shift, to four; else `count`.
  ;; Offsets are big-endian, as ROOT stores them.
  (func (export "entriesAgree")
    (param $offsets i32) (param $starts i32) (param $count i32) (param $itemBytes i32) (param $shift i32) (result i32)
    (local $at i32)
    (block $done (loop $next
      (br_if $done (i32.ge_u (local.get $at) (local.get $count)))
      (br_if $done (v128.any_true (v128.xor
        (call $swapped (v128.load (i32.add (local.get $offsets) (i32.shl (local.get $at) (i32.const 2)))))
        (i32x4.add (i32x4.splat (local.get $shift)) (i32x4.mul (i32x4.splat (local.get $itemBytes))
          (v128.load (i32.add (local.get $starts) (i32.shl (local.get $at) (i32.const 2)))))))))
      (local.set $at (i32.add (local.get $at) (i32.const 4)))
      (br $next)))
    (local.get $at))
  (func $swapped (param $x v128) (result v128)
    (i8x16.shuffle 3 2 1 0 7 6 5 4 11 10 9 8 15 14 13 12 (local.get $x) (local.get $x)))

  ;; States of rows of four key words (run, luminosityBlock, event low, event high), `count` a multiple of four.
  (func (export "keyStates") (param $words i32) (param $count i32) (param $outA i32) (param $outB i32)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128)
    (local $run v128) (local $lumi v128) (local $low v128) (local $high v128) (local $x v128) (local $y v128)
    (block $done (loop $next
      (br_if $done (i32.eqz (local.get $count)))
      (local.set $a (v128.load (local.get $words)))
      (local.set $b (v128.load offset=16 (local.get $words)))
      (local.set $c (v128.load offset=32 (local.get $words)))
      (local.set $d (v128.load offset=48 (local.get $words)))
      (local.set $x (i8x16.shuffle 0 1 2 3 16 17 18 19 4 5 6 7 20 21 22 23 (local.get $a) (local.get $b)))
      (local.set $y (i8x16.shuffle 0 1 2 3 16 17 18 19 4 5 6 7 20 21 22 23 (local.get $c) (local.get $d)))
      (local.set $run (i8x16.shuffle 0 1 2 3 4 5 6 7 16 17 18 19 20 21 22 23 (local.get $x) (local.get $y)))
      (local.set $lumi (i8x16.shuffle 8 9 10 11 12 13 14 15 24 25 26 27 28 29 30 31 (local.get $x) (local.get $y)))
      (local.set $x (i8x16.shuffle 8 9 10 11 24 25 26 27 12 13 14 15 28 29 30 31 (local.get $a) (local.get $b)))
      (local.set $y (i8x16.shuffle 8 9 10 11 24 25 26 27 12 13 14 15 28 29 30 31 (local.get $c) (local.get $d)))
      (local.set $low (i8x16.shuffle 0 1 2 3 4 5 6 7 16 17 18 19 20 21 22 23 (local.get $x) (local.get $y)))
      (local.set $high (i8x16.shuffle 8 9 10 11 12 13 14 15 24 25 26 27 28 29 30 31 (local.get $x) (local.get $y)))
      (local.set $x (v128.const i32x4 0x9e3779b9 0x9e3779b9 0x9e3779b9 0x9e3779b9))
      (local.set $x (call $stepX (call $stepX (local.get $x) (local.get $run)) (v128.const i32x4 0 0 0 0)))
      (local.set $x (call $stepX (call $stepX (local.get $x) (local.get $lumi)) (v128.const i32x4 0 0 0 0)))
      (local.set $x (call $stepX (call $stepX (local.get $x) (local.get $low)) (local.get $high)))
      (local.set $y (v128.const i32x4 0x85ebca77 0x85ebca77 0x85ebca77 0x85ebca77))
      (local.set $y (call $stepY (call $stepY (local.get $y) (local.get $run)) (v128.const i32x4 0 0 0 0)))
      (local.set $y (call $stepY (call $stepY (local.get $y) (local.get $lumi)) (v128.const i32x4 0 0 0 0)))
      (local.set $y (call $stepY (call $stepY (local.get $y) (local.get $low)) (local.get $high)))
      (v128.store (local.get $outA) (call $final (local.get $x)
        (v128.const i32x4 0x7feb352d 0x7feb352d 0x7feb352d 0x7feb352d)
        (v128.const i32x4 0x846ca68b 0x846ca68b 0x846ca68b 0x846ca68b)))
      (v128.store (local.get $outB) (call $final (local.get $y)
        (v128.const i32x4 0x846ca68b 0x846ca68b 0x846ca68b 0x846ca68b)
        (v128.const i32x4 0x7feb352d 0x7feb352d 0x7feb352d 0x7feb352d)))
      (local.set $words (i32.add (local.get $words) (i32.const 64)))
      (local.set $outA (i32.add (local.get $outA) (i32.const 16)))
      (local.set $outB (i32.add (local.get $outB) (i32.const 16)))
      (local.set $count (i32.sub (local.get $count) (i32.const 4)))
      (br $next))))

  ;; the sum of states as u32, as two u64
  (func (export "sumStates") (param $states i32) (param $count i32) (param $out i32)
    (local $sum v128) (local $x v128)
    (block $done (loop $next
      (br_if $done (i32.eqz (local.get $count)))
      (local.set $x (v128.load (local.get $states)))
      (local.set $sum (i64x2.add (local.get $sum) (i64x2.extend_low_i32x4_u (local.get $x))))
      (local.set $sum (i64x2.add (local.get $sum) (i64x2.extend_high_i32x4_u (local.get $x))))
      (local.set $states (i32.add (local.get $states) (i32.const 16)))
      (local.set $count (i32.sub (local.get $count) (i32.const 4)))
      (br $next)))
    (v128.store (local.get $out) (local.get $sum)))
  (func $stepX (param $x v128) (param $word v128) (result v128)
    (i32x4.mul
      (i32x4.add (v128.xor (local.get $x) (i32x4.shr_u (local.get $x) (i32.const 15))) (local.get $word))
      (v128.const i32x4 0x85ebca6b 0x85ebca6b 0x85ebca6b 0x85ebca6b)))
  (func $stepY (param $x v128) (param $word v128) (result v128)
    (i32x4.mul
      (i32x4.add (v128.xor (local.get $x) (i32x4.shr_u (local.get $x) (i32.const 13))) (local.get $word))
      (v128.const i32x4 0xc2b2ae35 0xc2b2ae35 0xc2b2ae35 0xc2b2ae35)))
  (func $final (param $x v128) (param $first v128) (param $second v128) (result v128)
    (local.set $x (i32x4.mul
      (v128.xor (local.get $x) (i32x4.shr_u (local.get $x) (i32.const 16))) (local.get $first)))
    (local.set $x (i32x4.mul
      (v128.xor (local.get $x) (i32x4.shr_u (local.get $x) (i32.const 15))) (local.get $second)))
    (v128.xor (local.get $x) (i32x4.shr_u (local.get $x) (i32.const 16))))
)
